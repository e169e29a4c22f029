"""The webhook routes, section 5 of the contract."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from lintel.webhooks.v1 import ingest_service_pb2 as pb

from gateway.app import build
from gateway.config import MAX_WEBHOOK_BODY
from gateway.mesh import Mesh
from services.kit.errors import AppError, Reason
from services.kit.rpc.addresses import Addresses
from tests.contract.rest.test_bad_input import check_problem
from tests.integration.edge.fixtures import configured
from tests.integration.edge.upstream import ID, Upstream

JSON = {"content-type": "application/json; charset=utf-8"}


async def chunks(size: int) -> AsyncIterator[bytes]:
    while size > 0:
        yield b"x" * min(size, 1 << 20)
        size -= 1 << 20


async def test_a_stored_delivery_is_202(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    body = b'{"a": 1,\xff "no": json'
    headers = {**JSON, "X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=x", "X-Other": "1"}
    answer = await rest.post("/github/webhook", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"outcome": "stored", "deliveryId": ID})
    (request,) = upstream.script.requests
    assert (request.host, request.connection_id, request.body) == ("github", "", body)
    assert request.headers["x-github-event"] == "push"
    assert request.headers["x-hub-signature-256"] == "sha256=x"
    assert not request.headers.keys() & {"x-other", "authorization", "host"}


@pytest.mark.parametrize("host", ["github", "gitlab", "bitbucket", "azure-repos", "forgejo"])
async def test_each_host_has_both_routes(rest: httpx2.AsyncClient, upstream: Upstream, host: str) -> None:
    assert (await rest.post(f"/{host}/webhook/c%201", content=b"{}", headers=JSON)).status_code == 202
    assert upstream.script.requests[0].connection_id == "c 1"
    assert (await rest.get(f"/{host}/webhook")).status_code == 405
    answer = await rest.post(f"/{host}/webhook/{'c' * 65}", content=b"{}", headers=JSON)
    check_problem(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("outcome", "told"), [(pb.INGEST_OUTCOME_DUPLICATE, "duplicate"), (pb.INGEST_OUTCOME_NOT_OURS, "not_ours")]
)
async def test_what_is_not_stored_again_is_200(
    rest: httpx2.AsyncClient, upstream: Upstream, outcome: "pb.IngestOutcome.ValueType", told: str
) -> None:
    upstream.script.answers["Ingest"] = pb.IngestResponse(outcome=outcome)
    answer = await rest.post("/github/webhook", content=b"{}", headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {"outcome": told, "deliveryId": None})


async def test_a_bad_signature_is_401_without_a_hint(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    upstream.script.error = AppError(Reason.SIGNATURE_INVALID)
    answer = await rest.post("/github/webhook", content=b"{}", headers=JSON)
    check_problem(answer, 401, "SIGNATURE_INVALID")
    assert "www-authenticate" not in answer.headers


async def test_two_signatures_are_none(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    pairs = [*JSON.items(), ("x-hub-signature-256", "sha256=a"), ("x-hub-signature-256", "sha256=b")]
    answer = await rest.request("POST", "/github/webhook", content=b"{}", headers=pairs)
    check_problem(answer, 401, "SIGNATURE_INVALID")
    assert upstream.script.requests == []


@pytest.mark.parametrize(
    "error",
    [AppError(Reason.UNAVAILABLE, "db"), AppError(Reason.OVERLOADED), AppError(Reason.WRONG_STATE), ValueError()],
)
async def test_a_failure_of_ours_is_503(rest: httpx2.AsyncClient, upstream: Upstream, error: Exception) -> None:
    upstream.script.error = error
    answer = await rest.post("/github/webhook", content=b"{}", headers=JSON)
    problem = check_problem(answer, 503, "UNAVAILABLE")
    assert problem["detail"] == "The webhook was not stored."
    assert answer.headers["retry-after"] == "5"


async def test_the_largest_body_passes_and_one_byte_more_does_not(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    headers = {**JSON, "x-hub-signature-256": "bad"}
    answer = await rest.post("/github/webhook", content=chunks(MAX_WEBHOOK_BODY), headers=headers)
    assert answer.status_code == 202
    assert len(upstream.script.requests[0].body) == MAX_WEBHOOK_BODY
    for content in (chunks(MAX_WEBHOOK_BODY + 1), b"x" * (MAX_WEBHOOK_BODY + 1)):
        for kind in (JSON, {"content-type": "text/plain"}):
            if isinstance(content, bytes) or kind is JSON:  # of two faults the size is told where it is declared
                answer = await rest.post("/github/webhook", content=content, headers=kind)
                problem = check_problem(answer, 413, "BODY_TOO_LARGE")
                assert "26,214,400" in str(problem["detail"])
    assert len(upstream.script.requests) == 1


async def test_what_is_not_json_is_415(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    for headers in (
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": ""},
        {**JSON, "content-encoding": "gzip"},
    ):
        answer = await rest.post("/github/webhook", content=gzip.compress(b"{}"), headers=headers)
        check_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert upstream.script.requests == []


async def test_a_content_length_that_lies_gets_no_answer_but_an_end(gateway: Path, upstream: Upstream) -> None:
    reader, writer = await asyncio.open_unix_connection(gateway)
    head = b"POST /github/webhook HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    writer.write(head + b"content-length: 100\r\n\r\n{}")
    writer.write_eof()
    await reader.read()
    writer.close()
    await writer.wait_closed()
    assert upstream.script.requests == []


async def test_a_small_step_over_the_limit_in_the_last_piece(rest: httpx2.AsyncClient, upstream: Upstream) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * MAX_WEBHOOK_BODY
        yield b"x"

    answer = await rest.post("/github/webhook", content=pieces(), headers=JSON)
    check_problem(answer, 413, "BODY_TOO_LARGE")


async def test_the_budget_of_bytes_is_for_all_and_comes_back(upstream: Upstream) -> None:
    async with Mesh(Addresses(upstream.run_dir)) as mesh:
        edge = build(configured(upstream.run_dir, LINTEL_WEBHOOK_BYTES_IN_FLIGHT=MAX_WEBHOOK_BODY), mesh)
        transport = httpx2.ASGITransport(app=edge.webhooks)
        async with httpx2.AsyncClient(transport=transport, base_url="http://edge") as client:
            upstream.script.hold = asyncio.Event()
            held = asyncio.create_task(client.post("/github/webhook", content=b"x" * 1000, headers=JSON))
            await asyncio.wait_for(upstream.script.called.wait(), 10)
            answer = await client.post("/github/webhook", content=b"x" * (MAX_WEBHOOK_BODY - 999), headers=JSON)
            check_problem(answer, 503, "UNAVAILABLE")
            assert answer.headers["retry-after"] == "5"
            upstream.script.hold.set()
            assert (await held).status_code == 202
            answer = await client.post("/github/webhook", content=b"x" * (MAX_WEBHOOK_BODY - 999), headers=JSON)
            assert answer.status_code == 202


async def test_a_body_that_drips_is_408(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.webhooks.BODY_SECONDS", 0.1)
    never = asyncio.Event()

    async def dripping() -> AsyncIterator[bytes]:
        yield b"{"
        await never.wait()

    async with Mesh(Addresses(upstream.run_dir)) as mesh:
        edge = build(configured(upstream.run_dir), mesh)
        transport = httpx2.ASGITransport(app=edge.webhooks)
        async with httpx2.AsyncClient(transport=transport, base_url="http://edge") as client:
            answer = await client.post("/github/webhook", content=dripping(), headers=JSON)
            check_problem(answer, 408, "BODY_TOO_SLOW")
    assert upstream.script.requests == []
