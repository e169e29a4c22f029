"""Bad requests end in a problem document that names what is wrong; never in a 5xx."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import httpx2
import pytest

from tests.integration.edge.upstream import ID, Upstream

MEMBERS = {"type", "title", "status", "detail", "instance", "reason", "violations", "requestId"}


def check_problem(answer: httpx2.Response, status: int, reason: str) -> dict[str, object]:
    """Hold an answer against RFC 9457 and the contract; returns its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = answer.json()
    assert problem.keys() == MEMBERS
    assert (problem["status"], problem["reason"]) == (status, reason)
    assert unquote(str(problem["instance"])) == answer.request.url.path
    assert problem["requestId"] == answer.headers["x-request-id"]
    assert problem["type"] == f"/docs#{reason.lower().replace('_', '-')}"
    return problem


@pytest.mark.parametrize(
    ("query", "field", "word"),
    [
        ("nope=1", "nope", "not a known"),
        ("pageSize=x", "pageSize", "whole number"),
        ("pageSize=", "pageSize", "whole number"),
        ("pageSize=5%0A", "pageSize", "whole number"),
        ("pageSize=99999999999", "pageSize", "between"),
        ("pageSize=1&pageSize=2", "pageSize", "twice"),
        ("page_size=1", "page_size", "not a known"),
        ("state=FAILED", "state", "received, processed, ignored, failed"),
        ("state=", "state", "must be one of"),
        ("pageToken=%ff", "pageToken", "UTF-8"),
        ("%ff=1", "%ff", "UTF-8"),
    ],
)
async def test_a_bad_query_is_named(rest: httpx2.AsyncClient, query: str, field: str, word: str) -> None:
    problem = check_problem(await rest.get(f"/webhook-health/deliveries?{query}"), 400, "INVALID_REQUEST")
    violation = problem["violations"][0]  # type: ignore[index]
    assert len(problem["violations"]) == 1  # type: ignore[arg-type]
    assert violation["field"] == field
    assert word in violation["description"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"name":"x","nope":1}', "nope"),
        ('{"name":1}', "name"),
        ('{"name":"x","scopes":"all"}', "scopes"),
        ('{"name":"x","scopes":["all",null]}', "scopes[1]"),
        ('{"name":"x","expireTime":"tomorrow"}', "expireTime"),
        ('{"name":"x","expireTime":5}', "expireTime"),
        ("[]", ""),
        ("null", ""),
        ('{"name":""}', "name"),  # the service's own rule, under the name that JSON uses
    ],
)
async def test_a_bad_body_field_is_named(rest: httpx2.AsyncClient, body: str, field: str) -> None:
    headers = {"content-type": "application/json"}
    answer = await rest.post("/auth/api-keys", content=body, headers=headers)
    problem = check_problem(answer, 400, "INVALID_REQUEST")
    assert [v["field"] for v in problem["violations"]] == [field]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":',
        b'{"name":"a","name":"b"}',
        b'{"name":NaN}',
        b'{"name":-Infinity}',
        b'{"name":"\\ud800"}',
        b'{"\\udfff":"a"}',
        b'{"name":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"name":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
        b'{"name":' + b"9" * 5_000 + b"}",
        b'{"name":"\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"name":"a"} {}',
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_hostile_json_is_refused(rest: httpx2.AsyncClient, upstream: Upstream, body: bytes) -> None:
    answer = await rest.post("/auth/api-keys", content=body, headers={"content-type": "application/json"})
    check_problem(answer, 400, "INVALID_REQUEST")
    assert upstream.script.requests == []


async def test_a_body_above_the_limit_is_413_and_says_so(rest: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(33):
            yield b" " * 32_768

    bodies: tuple[bytes | AsyncIterator[bytes], ...] = (b" " * (1024 * 1024 + 1), chunks())
    for content in bodies:
        answer = await rest.post("/auth/api-keys", content=content, headers={"content-type": "application/json"})
        problem = check_problem(answer, 413, "BODY_TOO_LARGE")
        assert "1,048,576" in str(problem["detail"])


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": ""},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_another_media_type_is_415(rest: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    answer = await rest.post("/auth/api-keys", content=b"{}", headers=headers)
    check_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_routes_and_methods(rest: httpx2.AsyncClient) -> None:
    for path in ("/nope", "/codeReview/", "/codeReview//findings", "/lintel.webhooks.v1.IngestService/Ingest", "//"):
        check_problem(await rest.get(path), 404, "NOT_FOUND")
    answer = await rest.put("/auth/api-keys")
    check_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    answer = await rest.options("/auth/api-keys")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    head = await rest.head("/organization")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0
    assert (await rest.head(f"/codeReview/{ID}/events")).status_code == 405


async def test_path_parameters_are_decoded_and_judged_by_the_service(rest: httpx2.AsyncClient) -> None:
    problem = check_problem(await rest.get("/codeReview/a%2Fb%20c"), 400, "INVALID_REQUEST")
    assert [v["field"] for v in problem["violations"]] == ["id"]  # type: ignore[attr-defined]
    check_problem(await rest.get("/codeReview/%ff"), 400, "INVALID_REQUEST")
    answer = await rest.post(f"/codeReview/{ID}/cancel", json={"id": ID})
    problem = check_problem(answer, 400, "INVALID_REQUEST")
    assert "path" in problem["violations"][0]["description"]  # type: ignore[index]


async def test_bad_headers(rest: httpx2.AsyncClient) -> None:
    for headers in (
        {"x-request-timeout": "soon"},
        {"x-request-timeout": "0"},
        {"idempotency-key": "a b"},
        {"idempotency-key": "x" * 256},
    ):
        check_problem(await rest.get("/organization", headers=headers), 400, "INVALID_REQUEST")
    pairs = [("authorization", "Bearer a"), ("authorization", "Bearer b")]
    answer = await rest.request("GET", "/organization", headers=pairs)
    check_problem(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_slow_call_ends_at_the_time_the_caller_allows(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    upstream.script.hold = asyncio.Event()
    answer = await rest.get("/organization", headers={"x-request-timeout": "0.3"})
    check_problem(answer, 504, "DEADLINE_EXCEEDED")


async def test_bytes_that_are_no_http(gateway: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(gateway)
    writer.write(b"\x00\x01 nonsense\r\n\r\n")
    assert b" 400 " in (await reader.read(200)).split(b"\r\n")[0]
    writer.close()
    await writer.wait_closed()
