"""The edge without Envoy: TCP ports, and gRPC carried to the roles byte by byte."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
import httpx2
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from lintel.review.v1 import code_review_service_pb2 as reviews
from lintel.review.v1 import code_review_service_pb2_grpc as reviews_grpc
from lintel.review.v1 import review_pb2
from lintel.webhooks.v1 import ingest_service_pb2 as ingest
from lintel.webhooks.v1 import ingest_service_pb2_grpc as ingest_grpc

from gateway.app import Running, running
from gateway.config import GatewayConfig
from gateway.grpc_edge.proxy import client_address
from gateway.listeners import unix_listener
from gateway.public import PUBLIC_SERVICES
from services.kit.app import DRAIN_SECONDS
from services.kit.errors import AppError, Reason
from tests.integration.edge.fixtures import configured
from tests.integration.edge.upstream import ID, KEY, Upstream

BUF = Path(sys.executable).with_name("buf")
CREDENTIAL = (("authorization", f"Bearer {KEY}"),)


def config(run_dir: Path, **more: object) -> GatewayConfig:
    ports = {"API_PORT": 0, "API_WEBHOOKS_PORT": 0, "LINTEL_GRPC_PORT": 0}
    return configured(run_dir, LINTEL_EDGE="direct", **(ports | more))


@pytest.fixture(scope="module")
async def direct(roles: Upstream) -> AsyncIterator[Running]:
    async with running(config(roles.run_dir)) as listening:
        yield listening


@pytest.fixture
async def channel(direct: Running, upstream: Upstream) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{direct.grpc_port}") as channel:
        yield channel


async def test_the_ports_serve_what_they_should(direct: Running, upstream: Upstream) -> None:
    async with httpx2.AsyncClient() as client:
        edge, webhooks = f"http://127.0.0.1:{direct.port}", f"http://127.0.0.1:{direct.webhooks_port}"
        headers = {"authorization": f"Bearer {KEY}"}
        assert (await client.get(f"{edge}/organization", headers=headers)).status_code == 200
        assert (await client.get(f"{webhooks}/organization", headers=headers)).status_code == 404
        assert (await client.get(f"{webhooks}/health/live")).status_code == 200
        for base in (edge, webhooks):
            assert (await client.post(f"{base}/github/webhook", json={})).status_code == 202


async def test_a_taken_port_is_an_error(direct: Running, upstream: Upstream) -> None:
    with pytest.raises(OSError, match="in use"):
        async with running(config(upstream.run_dir, API_PORT=direct.port)):
            pass


async def test_a_taken_grpc_port_is_an_error(direct: Running, upstream: Upstream) -> None:
    with pytest.raises(OSError, match="in use"):
        async with running(config(upstream.run_dir, LINTEL_GRPC_PORT=direct.grpc_port)):
            pass


async def test_a_head_without_end_is_cut_off(direct: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", direct.port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx-filler: " + b"x" * 100_000)
    assert b" 400 " in (await reader.readline())
    writer.close()
    with suppress(ConnectionResetError):
        await writer.wait_closed()


async def test_unary_calls_pass(channel: grpc.aio.Channel, upstream: Upstream) -> None:
    stub = reviews_grpc.CodeReviewServiceStub(channel)
    spoofed = (("x-lintel-caller", "review"), ("x-lintel-client-address", "6.6.6.6"))
    metadata = (*CREDENTIAL, ("x-request-id", "r1"), *spoofed, ("other", "1"))
    answer = await stub.GetReview(reviews.GetReviewRequest(id=ID), metadata=metadata, timeout=7)
    assert answer.review.id == ID
    seen = upstream.script.metadata[0]
    assert (seen["x-request-id"], seen["x-lintel-caller"]) == ("r1", "gateway")
    assert "other" not in seen
    assert seen["x-lintel-client-address"] == "127.0.0.1"


async def test_a_rest_caller_s_address_is_that_of_the_connection(direct: Running, upstream: Upstream) -> None:
    spoofed = {"x-lintel-client-address": "6.6.6.6", "x-forwarded-for": "7.7.7.7", "authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{direct.port}", headers=spoofed) as client:
        assert (await client.get(f"/codeReview/{ID}")).status_code == 200
    assert upstream.script.metadata[0]["x-lintel-client-address"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.7:51234", "10.0.0.7"),
        ("ipv6:%5B::1%5D:51234", "::1"),
        ("ipv6:[fe80::1%25eth0]:1", "fe80::1"),
        ("unix:", ""),
        ("", ""),
        ("ipv4:x:1", ""),
    ],
)
def test_addresses_of_peers(peer: str, address: str) -> None:
    assert client_address(peer) == address


async def test_rich_errors_pass(channel: grpc.aio.Channel, upstream: Upstream) -> None:
    stub = reviews_grpc.CodeReviewServiceStub(channel)
    upstream.script.error = AppError(Reason.WRONG_STATE, "It is over.", state="failed")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.CancelReview(reviews.CancelReviewRequest(id=ID), metadata=CREDENTIAL)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    trailers = dict(caught.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo.FromString(status.details[0].value)
    assert (info.reason, dict(info.metadata)) == ("WRONG_STATE", {"state": "failed"})


async def test_streams_and_their_cancellation_pass(channel: grpc.aio.Channel, upstream: Upstream) -> None:
    stub = reviews_grpc.CodeReviewServiceStub(channel)
    for state in (review_pb2.REVIEW_STATE_QUEUED, review_pb2.REVIEW_STATE_RUNNING):
        upstream.script.events.put_nowait(reviews.WatchReviewResponse(review=review_pb2.Review(state=state)))
    call = stub.WatchReview(reviews.WatchReviewRequest(id=ID), metadata=CREDENTIAL)
    assert [await next_state(call) for _ in range(2)] == [1, 2]
    call.cancel()
    await asyncio.wait_for(upstream.script.watch_ended.wait(), 10)


async def test_deadlines_pass(channel: grpc.aio.Channel, upstream: Upstream) -> None:
    upstream.script.hold = asyncio.Event()
    stub = reviews_grpc.CodeReviewServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetReview(reviews.GetReviewRequest(id=ID), metadata=CREDENTIAL, timeout=0.4)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_internal_services_are_not_there(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ingest_grpc.IngestServiceStub(channel).Ingest(ingest.IngestRequest(host="github"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_health_of_the_whole_and_of_each_service(channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", *(s.name for s in PUBLIC_SERVICES)):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="lintel.webhooks.v1.IngestService"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_watch_sees_a_change_and_does_not_hold_up_the_end(upstream: Upstream) -> None:
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    async with AsyncExitStack() as clients:
        async with running(config(upstream.run_dir)) as listening:
            address = f"127.0.0.1:{listening.grpc_port}"
            channel = await clients.enter_async_context(grpc.aio.insecure_channel(address))
            call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await call.read()).status == serving
            for state, told in ((False, not_serving), (True, serving)):
                await upstream.servers["orgs"].set_serving(state)
                assert (await call.read()).status == told
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < DRAIN_SECONDS / 2
        assert (await call.read()).status == not_serving
        assert await call.read() is grpc.aio.EOF


@pytest.mark.parametrize("protocol", ["grpc-v1", "grpc-v1alpha"])
async def test_buf_finds_the_public_services_and_calls_them(direct: Running, upstream: Upstream, protocol: str) -> None:
    address = f"http://127.0.0.1:{direct.grpc_port}"
    options = ["--http2-prior-knowledge", "--protocol", "grpc", "--reflect-protocol", protocol]
    listed = (await buf("curl", *options, "--list-services", address)).split()
    assert {s.name for s in PUBLIC_SERVICES} <= set(listed)
    assert not [name for name in listed if "Ingest" in name or "Credential" in name]
    path = f"{address}/lintel.review.v1.CodeReviewService/GetReview"
    text = await buf("curl", *options, "-H", f"authorization: Bearer {KEY}", "-d", json.dumps({"id": ID}), path)
    assert json_format.Parse(text, reviews.GetReviewResponse()).review.id == ID


async def test_production_has_no_reflection(upstream: Upstream) -> None:
    async with running(config(upstream.run_dir, API_NODE_ENV="production")) as listening:
        options = ["--http2-prior-knowledge", "--protocol", "grpc"]
        with pytest.raises(AssertionError, match=r"(?i)unimplemented"):
            await buf("curl", *options, "--list-services", f"http://127.0.0.1:{listening.grpc_port}")


async def test_a_socket_of_the_dead_is_replaced_and_one_of_the_living_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = unix_listener(path)
    with pytest.raises(OSError, match="in use"):
        unix_listener(path)
    first.close()
    unix_listener(path).close()


async def next_state(call: Any) -> int:
    """Answer the state that the next message of a watch tells."""
    return int((await call.read()).review.state)


async def buf(*arguments: str) -> str:
    """Run buf and answer what it prints; what it complains about is an AssertionError."""
    process = await asyncio.create_subprocess_exec(
        BUF, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    )
    out, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return out.decode()
