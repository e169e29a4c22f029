"""What every request meets first: identity, headers, the description, access and rate limits."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from emulators.github import EmulatorDefectError, GitHubEmulator, Limits
from emulators.github.answers import Answer, Call, json_answer
from tests.contract.emulators.github.conftest import Make
from tests.contract.emulators.github.support import TOKEN, Bench, History


async def test_identity_is_required(bench: Bench) -> None:
    for value in ("Bearer wrong", "Bearer", "Basic " + TOKEN, TOKEN):
        answer = await bench.client.get("/user", headers={"Authorization": value})
        assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")
    for scheme in ("Bearer", "token", "bearer"):
        answer = await bench.client.get("/user", headers={"Authorization": f"{scheme} {TOKEN}"})
        assert answer.json()["login"] == "lintel-bot"
    async with httpx2.AsyncClient(base_url=bench.emulator.url, trust_env=False, verify=False) as client:
        assert (await client.get("/user")).status_code == 401
    bench.emulator.revoke(TOKEN)
    assert (await bench.client.get("/user")).status_code == 401


async def test_user_agent_is_required(bench: Bench) -> None:
    answer = await bench.client.get("/user", headers={"User-Agent": ""})
    assert answer.status_code == 403
    assert [violation.message for violation in bench.emulator.violations] == ["a request without User-Agent"]


async def test_version_and_media_type_are_checked(bench: Bench) -> None:
    assert (await bench.client.get("/user", headers={"X-GitHub-Api-Version": "2021-01-01"})).status_code == 400
    assert (await bench.client.get("/user", headers={"Accept": "text/html"})).status_code == 415
    assert len(bench.emulator.violations) == 2
    for accept in ("*/*", "application/json", "text/html, application/vnd.github.v3+json;q=0.5"):
        answer = await bench.client.get("/user", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["x-github-api-version-selected"]) == (200, "2022-11-28")


async def test_what_is_not_described_is_a_violation(bench: Bench) -> None:
    wrong: list[tuple[str, str, Any, int]] = [
        ("GET", f"{bench.repo}/branches", None, 404),
        ("PATCH", bench.api, {"title": "x"}, 404),
        ("GET", f"{bench.api}/files?perpage=3", None, 422),
        ("GET", f"{bench.api}/files?per_page=many", None, 422),
        ("GET", f"{bench.repo}/pulls?state=merged", None, 422),
        ("GET", f"{bench.api}/files?page=1&page=2", None, 422),
        ("GET", f"{bench.api}/comments?since=yesterday", None, 422),
        ("POST", f"{bench.api}/reviews", {"event": "LGTM"}, 422),
        ("POST", f"{bench.api}/reviews", {"Event": "COMMENT"}, 422),
        ("POST", f"{bench.api}/reviews", {"comments": [{"path": "app.py"}]}, 422),
        ("POST", f"{bench.api}/reviews", {"comments": [{"path": "app.py", "body": "b", "subject_type": "file"}]}, 422),
        ("POST", f"{bench.api}/reviews", {"comments": [{"path": "app.py", "body": "b", "line": "5"}]}, 422),
        ("POST", f"{bench.repo}/issues/1/comments", None, 422),
        ("POST", f"{bench.repo}/issues/1/comments", {"body": "x", "draft": True}, 422),
    ]
    for count, (method, url, body, status) in enumerate(wrong, start=1):
        answer = await bench.client.request(method, url, json=body) if body else await bench.client.request(method, url)
        assert (answer.status_code, len(bench.emulator.violations)) == (status, count), url
    assert bench.emulator.reviews(1) == []
    with pytest.raises(AssertionError, match="is not a permitted key"):
        bench.emulator.check()


async def test_bodies_must_be_json_objects(bench: Bench) -> None:
    for body in (b"{", b"[1]", b"\xff", b'{"body": NaN}', b"[" * 100_000):
        answer = await bench.client.post(f"{bench.repo}/issues/1/comments", content=body)
        assert answer.status_code == 400
    assert bench.emulator.issue_comments(1) == []


async def test_a_token_sees_only_what_it_may(bench: Bench) -> None:
    bench.emulator.add_user("reader", "reader-token", access="read")
    bench.emulator.add_user("stranger", "stranger-token", access="none")
    reader, stranger = bench.as_user("reader-token"), bench.as_user("stranger-token")
    assert (await bench.client.get(bench.repo, headers=reader)).status_code == 200
    assert (await bench.client.get(bench.repo, headers=stranger)).status_code == 404
    assert (await bench.client.get("/user", headers=stranger)).json()["login"] == "stranger"
    refused = await bench.client.post(f"{bench.repo}/issues/1/comments", json={"body": "x"}, headers=reader)
    assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by personal access token")
    assert (await bench.client.get("/repos/acme/other")).status_code == 404
    assert (await bench.client.get("/repos/ACME/Shop")).status_code == 200
    with pytest.raises(ValueError, match="access is"):
        bench.emulator.add_user("x", access="admin")


async def test_an_archived_repository_is_read_only(bench: Bench) -> None:
    bench.emulator.archive()
    assert (await bench.client.post(f"{bench.repo}/issues/1/comments", json={"body": "x"})).status_code == 403
    assert (await bench.client.get(bench.repo)).json()["archived"] is True


async def test_the_hourly_allowance_runs_out_and_comes_back(make_bench: Make) -> None:
    now = [1_000_000.0]
    bench = await make_bench(Limits(requests_per_hour=2), clock=lambda: now[0])
    first = await bench.client.get("/user")
    assert (first.headers["x-ratelimit-remaining"], first.headers["x-ratelimit-reset"]) == ("1", "1003600")
    again = await bench.client.get("/user", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["x-ratelimit-remaining"]) == (304, b"", "1")
    assert (await bench.client.get("/user")).headers["x-ratelimit-remaining"] == "0"
    refused = await bench.client.get("/user")
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "0")
    assert "retry-after" not in refused.headers
    assert (await bench.client.get("/rate_limit")).json()["rate"]["remaining"] == 0
    now[0] += 3600
    assert (await bench.client.get("/user")).status_code == 200


async def test_content_is_created_at_a_limited_pace(make_bench: Make) -> None:
    now = [1_000_000.0]
    limits = Limits(content_per_minute=2, content_per_hour=3, secondary_status=429, secondary_retry_after=7)
    bench = await make_bench(limits, clock=lambda: now[0])

    async def post() -> httpx2.Response:
        return await bench.client.post(f"{bench.repo}/issues/1/comments", json={"body": "x"})

    assert [(await post()).status_code for _ in range(2)] == [201, 201]
    refused = await post()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert (await bench.client.get("/user")).status_code == 200
    now[0] += 60
    assert [(await post()).status_code for _ in range(2)] == [201, 429]
    now[0] += 3600
    assert (await post()).status_code == 201
    assert len(bench.emulator.issue_comments(1)) == 4


async def test_writes_cost_five_points(make_bench: Make) -> None:
    bench = await make_bench(Limits(points_per_minute=6))
    assert (await bench.client.post(f"{bench.repo}/issues/1/comments", json={"body": "x"})).status_code == 201
    assert (await bench.client.get("/user")).status_code == 200
    refused = await bench.client.get("/user")
    assert (refused.status_code, refused.headers["retry-after"]) == (403, "60")


async def test_requests_at_once_are_limited(make_bench: Make) -> None:
    bench = await make_bench(Limits(concurrent=1))
    entered, leave = asyncio.Event(), asyncio.Event()

    async def held(call: Call) -> Answer:
        entered.set()
        await leave.wait()
        return Answer(204)

    bench.emulator.app.replace_handler("pulls/delete-review-comment", held)
    first = asyncio.create_task(bench.client.delete(f"{bench.repo}/pulls/comments/1"))
    async with asyncio.timeout(10):
        await entered.wait()
    refused = await bench.client.get("/user")
    leave.set()
    assert (refused.status_code, (await first).status_code) == (403, 204)
    assert (await bench.client.get("/user")).status_code == 200


async def test_records_hold_no_token(bench: Bench) -> None:
    await bench.client.post(f"{bench.repo}/issues/1/comments?q={TOKEN}", json={"body": f"my token is {TOKEN}"})
    await bench.client.get("/user", headers={"Authorization": "Bearer ghp_someoneelses"})
    assert TOKEN not in repr(bench.emulator.requests)
    assert "ghp_someoneelses" not in repr(bench.emulator.requests)
    first = bench.emulator.calls("issues/create-comment")[0]
    assert (first.body, first.status, first.user) == ({"body": "my token is [redacted]"}, 422, "lintel-bot")
    assert {violation.message for violation in bench.emulator.violations} >= {
        "a token in the body",
        "a token in the query",
    }


async def test_an_answer_outside_the_description_is_loud(history: History) -> None:
    emulator = GitHubEmulator(history.repository.path, "acme", "shop", TOKEN)

    async def broken(call: Call) -> Answer:
        return json_answer({"login": call.user.login})

    async def crashing(call: Call) -> Answer:
        raise LookupError(call.path)

    emulator.app.replace_handler("users/get-authenticated", broken)
    emulator.app.replace_handler("repos/get", crashing)
    url = await emulator.start()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False, verify=False) as client:
        answers = [await client.get("/user"), await client.get("/repos/acme/shop")]
    assert [answer.status_code for answer in answers] == [500, 500]
    assert len(emulator.defects) == 2
    with pytest.raises(EmulatorDefectError, match="LookupError"):
        await emulator.stop()


async def test_start_refuses_the_open_and_the_taken(bench: Bench) -> None:
    other = GitHubEmulator(bench.history.repository.path, "acme", "shop", TOKEN)
    with pytest.raises(ValueError, match="loopback"):
        await other.start(host="0.0.0.0")
    with pytest.raises(OSError, match="in use"):
        await other.start(port=int(bench.emulator.url.rpartition(":")[2]))
    with pytest.raises(RuntimeError, match="started already"):
        await bench.emulator.start()
    with pytest.raises(RuntimeError, match="isn't started"):
        _ = other.url
    await other.stop()
    with pytest.raises(ValueError, match="empty token"):
        GitHubEmulator(bench.history.repository.path, "acme", "shop", "")


async def test_answers_are_json_with_github_s_headers(bench: Bench) -> None:
    answer = await bench.client.get("/user")
    assert json.loads(answer.content)["type"] == "User"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert {"x-github-request-id", "x-ratelimit-limit", "x-ratelimit-resource", "etag"} <= set(answer.headers)
