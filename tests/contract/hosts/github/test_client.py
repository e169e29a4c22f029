"""The client against hosts that do what a correct one never does: limits, redirects, foreign links, odd answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from services.webhooks.hosts.base import (
    ForbiddenError,
    HostError,
    InDoubtError,
    InvalidError,
    NotFoundError,
    Problem,
    RateLimitedError,
    StaticToken,
    UnauthorizedError,
    UnavailableError,
)
from services.webhooks.hosts.github.client import Client
from services.webhooks.hosts.github.limits import LONGEST, SHORTEST, UNTOLD
from tests.contract.hosts.github.scripted import Script, answer, scripted

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TOKEN = "ghs_42_a-very-secret-token-of-some-length"


@asynccontextmanager
async def client_of(*answers: bytes, seconds: float = 5) -> AsyncIterator[tuple[Client, Script]]:
    async with scripted(*answers) as script:
        client = Client(StaticToken(TOKEN), script.url, now=lambda: NOW, seconds=seconds)
        try:
            yield client, script
        finally:
            await client.close()


def seconds_later(seconds: float) -> str:
    return str(int(NOW.timestamp() + seconds))


@pytest.mark.parametrize(
    ("status", "headers", "body", "wait"),
    [
        (429, {}, None, UNTOLD),
        (429, {"retry-after": "7"}, None, timedelta(seconds=7)),
        (403, {"retry-after": "7"}, None, timedelta(seconds=7)),
        (429, {"retry-after": "0"}, None, SHORTEST),
        (429, {"retry-after": "-5"}, None, UNTOLD),
        (429, {"retry-after": "86400"}, None, LONGEST),
        (429, {"retry-after": "9" * 400}, None, LONGEST),
        (429, {"retry-after": "soon"}, None, UNTOLD),
        (429, {"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, None, timedelta(seconds=90)),
        (429, {"retry-after": format_datetime(NOW - timedelta(days=1), usegmt=True)}, None, SHORTEST),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": seconds_later(600)}, None, timedelta(minutes=10)),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": seconds_later(-600)}, None, SHORTEST),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "never"}, None, UNTOLD),
        (
            403,
            {
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": seconds_later(-3000),
                "date": format_datetime(NOW - timedelta(hours=1), usegmt=True),
            },
            None,
            timedelta(minutes=10),  # the host's clock is an hour behind ours, and its own difference counts
        ),
        (403, {}, {"message": "You have exceeded a secondary rate limit."}, UNTOLD),
        (422, {}, {"message": "x", "errors": ["was submitted too quickly"]}, UNTOLD),
    ],
)
async def test_limits(status: int, headers: dict[str, str], body: object, wait: timedelta) -> None:
    async with client_of(answer(status, body, headers)) as (client, _):
        with pytest.raises(RateLimitedError) as caught:
            await client.write("POST", "/x", {})
    assert caught.value.until == NOW + wait


async def test_a_limit_holds_for_the_credential_until_it_is_over() -> None:
    now = [NOW]
    async with scripted(answer(429, {}, {"retry-after": "7"}), answer(200, {})) as script:
        client = Client(StaticToken(TOKEN), script.url, now=lambda: now[0])
        for passed in (0, 1, 6):
            now[0] = NOW + timedelta(seconds=passed)
            with pytest.raises(RateLimitedError) as caught:
                await client.get(f"/{passed}")
            assert caught.value.until == NOW + timedelta(seconds=7)
        assert len(script.requests) == 1  # the host was asked once, and then left alone
        now[0] = NOW + timedelta(seconds=7)
        assert await client.get("/7") == {}
        await client.close()


@pytest.mark.parametrize(
    ("status", "reading", "writing"),
    [
        (401, UnauthorizedError, UnauthorizedError),
        (403, ForbiddenError, ForbiddenError),
        (451, ForbiddenError, ForbiddenError),
        (404, NotFoundError, NotFoundError),
        (410, NotFoundError, NotFoundError),
        (408, UnavailableError, UnavailableError),
        (422, InvalidError, InvalidError),
        (500, UnavailableError, InDoubtError),
        (502, UnavailableError, InDoubtError),
    ],
)
async def test_failures_by_status(status: int, reading: type[HostError], writing: type[HostError]) -> None:
    async with client_of(answer(status, b"<html>")) as (client, _):
        with pytest.raises(reading):
            await client.get("/x")
        with pytest.raises(writing):
            await client.write("POST", "/x", {})


async def test_a_cut_connection_and_silence_leave_a_write_in_doubt() -> None:
    async with client_of(b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{") as (client, _):
        with pytest.raises(InDoubtError):
            await client.write("POST", "/x", {})
        with pytest.raises(UnavailableError):
            await client.get("/x")
        with pytest.raises(InDoubtError):
            await client.write("POST", "/x", {})
    async with client_of(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", seconds=0.05) as (client, _):
        with pytest.raises(InDoubtError):
            await client.write("POST", "/x", {})


async def test_a_refused_connection_had_no_effect() -> None:
    async with scripted(answer(200)) as script:
        url = script.url
    client = Client(StaticToken(TOKEN), url)
    with pytest.raises(UnavailableError):
        await client.write("POST", "/x", {})
    await client.close()


async def test_answers_that_say_nothing() -> None:
    async with client_of(answer(200, b"<html>")) as (client, _):
        with pytest.raises(UnavailableError):
            await client.get("/x")
        with pytest.raises(InDoubtError):
            await client.write("POST", "/x", {})
    async with client_of(answer(200, b"[" * 100_000)) as (client, _):
        with pytest.raises(UnavailableError):
            await client.get("/x")
    async with client_of(answer(200, {"no": "list"})) as (client, _):
        with pytest.raises(UnavailableError):
            _ = [item async for item in client.pages("/x")]
    async with client_of(answer(200, b"x" * 70_000)) as (client, _):
        with pytest.raises(UnavailableError):
            await client.get_bytes("/x", 10)


async def test_a_renamed_repository_is_followed_within_the_origin() -> None:
    async with client_of(answer(301, {}, {"location": "/repositories/1/pulls/2"}), answer(200, {"a": 1})) as (
        c,
        script,
    ):
        assert await c.get("/repos/old/name/pulls/2", query={"page": "3"}) == {"a": 1}
        assert [line for line, _ in script.requests] == [
            "GET /repos/old/name/pulls/2?page=3 HTTP/1.1",
            "GET /repositories/1/pulls/2 HTTP/1.1",
        ]
    async with client_of(answer(307, {}, {"location": "/repositories/1"}), answer(200, {"a": 1})) as (client, script):
        assert await client.write("POST", "/x", {"b": 2}) == {"a": 1}
        assert script.requests[1][0] == "POST /repositories/1 HTTP/1.1"
    async with client_of(answer(301, {}, {"location": "/y"})) as (client, script):
        with pytest.raises(UnavailableError):
            await client.write("POST", "/x", {})
        assert len(script.requests) == 1


@pytest.mark.parametrize("place", ["location", "link"])
async def test_the_token_goes_to_no_other_origin(place: str) -> None:
    async with scripted(answer(200, [])) as other:
        for target in (
            other.url + "/y",
            "http://169.254.169.254/",
            "//evil.example/",
            "http://u:p@127.0.0.1/",
            "http:",
            "",
        ):
            first = answer(302, {}, {"location": target})
            if place == "link":
                first = answer(200, [1], {"link": f'<{target}>; rel="next"'})
                if not target:
                    continue
            async with client_of(first) as (client, _):
                with pytest.raises(UnavailableError) as caught:
                    _ = [item async for item in client.pages("/x")]
                assert TOKEN not in str(caught.value)
        assert other.requests == []


async def test_redirects_and_pages_end() -> None:
    async with client_of(answer(302, {}, {"location": "/again"})) as (client, script):
        with pytest.raises(UnavailableError):
            await client.get("/x")
        assert len(script.requests) == 4


async def test_every_request_says_who_asks_and_which_version() -> None:
    async with client_of(answer(200, {})) as (client, script):
        await client.get("/x")
    headers = script.requests[0][1]
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["x-github-api-version"] == "2022-11-28"
    assert headers["accept"] == "application/vnd.github+json" and headers["user-agent"]


async def test_no_secret_in_an_error() -> None:
    said = {"message": f"token {TOKEN} is bad\n\x1b[2J", "errors": [f"Bearer {TOKEN}", {"message": TOKEN}]}
    for status in (401, 403, 404, 422, 500):
        async with client_of(answer(status, said)) as (client, _):
            with pytest.raises(HostError) as caught:
                await client.get("/x")
            assert TOKEN not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
            assert str(caught.value).isprintable()
    assert TOKEN not in repr(StaticToken(TOKEN))
    async with client_of(answer(200, {})) as (client, script):
        odd = Client(StaticToken("to\nken"), script.url)
        with pytest.raises(UnauthorizedError):
            await odd.get("/x")
        await odd.close()
        assert await client.get("/x") == {}


async def test_a_token_that_expired_is_renewed_once() -> None:
    class Renewing:
        def __init__(self) -> None:
            self.asked: list[bool] = []

        async def token(self, *, fresh: bool = False) -> str:
            self.asked.append(fresh)
            return "new" if fresh else "old"

    async with scripted(answer(401, {}), answer(200, {"ok": 1}), answer(401, {})) as script:
        credential = Renewing()
        client = Client(credential, script.url)
        assert await client.get("/x") == {"ok": 1}
        assert [headers["authorization"] for _, headers in script.requests] == ["Bearer old", "Bearer new"]
        with pytest.raises(UnauthorizedError):
            await client.get("/x")
        assert credential.asked == [False, True, False, True]
        await client.close()


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        ("Pull request review thread line must be part of the diff", Problem.LINES),
        (
            {"field": "pull_request_review_thread.diff_hunk", "code": "custom", "message": "hunk can't be blank"},
            Problem.LINES,
        ),
        ("User can only have one pending review per pull request", Problem.DRAFT_EXISTS),
        ("The end commit oid is not part of the pull request", Problem.COMMIT_GONE),
        ("Body is too long (maximum is 65536 characters)", Problem.TOO_LONG),
        ({"resource": "X", "field": "y", "code": "missing"}, Problem.OTHER),
        (None, Problem.OTHER),
    ],
)
async def test_what_the_host_finds_invalid(error: object, problem: Problem) -> None:
    async with client_of(answer(422, {"message": "Unprocessable Entity", "errors": [error]})) as (client, _):
        with pytest.raises(InvalidError) as caught:
            await client.write("POST", "/x", {})
    assert caught.value.problem is problem and str(caught.value)


@pytest.mark.parametrize("url", ["ftp://x", "https://", "https://u:p@x", "https://x?q=1", "https://x#f", "x"])
def test_odd_api_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="API address"):
        Client(StaticToken(TOKEN), url)
