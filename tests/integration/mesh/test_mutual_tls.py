"""Roles over a network: both sides show certificates, a name is worth what its certificate says, no TCP without."""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc
import pytest
from lintel.llm.v1 import model_service_pb2, model_service_pb2_grpc

from deploy.certificates import make
from services.kit.config import ConfigError
from services.kit.errors import Reason
from services.kit.rpc import tls
from services.kit.rpc.addresses import PORTS, Addresses, Target
from services.kit.rpc.channel import open_channel
from services.kit.rpc.policy import EVERYONE, internal, read
from services.kit.rpc.server import RpcServer
from services.kit.rpc.status import from_rpc_error
from tests.support.rpc import models, policy_of, principal_with, providers

ROOT = Path(__file__).parents[3]
LOOPBACK = dict.fromkeys(PORTS, "127.0.0.1")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    make(
        directory,
        {
            "llm": ["llm_gateway"],
            "worker": ["review_worker"],
            "edge": ["gateway", "envoy"],
            "orgs": ["orgs"],
        },
    )
    make(directory / "strangers", {"worker": ["review_worker"]})
    return directory


@pytest.fixture
def addresses(tmp_path: Path) -> Addresses:
    return Addresses(tmp_path, LOOPBACK, free_base(), "127.0.0.1")


def free_base() -> int:
    """A base above which the model gateway's two ports are free."""
    for base in range(20_000 + os.getpid() % 20_000, 60_000, 7):
        try:
            for offset in (0, 1):
                with socket.create_server(("127.0.0.1", base + PORTS["llm_gateway"] + offset)):
                    pass
        except OSError:
            continue
        return base
    raise AssertionError("no free ports")


@contextmanager
def being(directory: Path) -> Iterator[None]:
    """Be the process whose identity lies in a directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINTEL_MESH_TLS", str(directory))
        tls.identity.cache_clear()
        try:
            yield
        finally:
            tls.identity.cache_clear()


@asynccontextmanager
async def serving(certificates: Path, addresses: Addresses) -> AsyncIterator[None]:
    """A role with both listeners: review_worker may call the internal one, the edge the public one."""

    async def resolve(credential: str) -> object:
        return principal_with("owner")

    with being(certificates / "llm"):
        inner = RpcServer(
            "llm_gateway",
            addresses.internal("llm_gateway"),
            [models(providers)],
            policy_of([models(providers)], internal("review_worker")),
        )
        outer = RpcServer(
            "llm_gateway",
            addresses.public("llm_gateway"),
            [models(providers)],
            policy_of([models(providers)], read(EVERYONE)),
            authenticator=resolve,  # type: ignore[arg-type]
        )
        await inner.start()
        await outer.start()
    try:
        yield
    finally:
        await inner.stop(0)
        await outer.stop(0)


async def call(directory: Path, address: str, caller: str) -> Reason | None:
    """Call as a process; answers why it was refused."""
    with being(directory):
        channel = open_channel(address, caller)
    async with channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        try:
            await stub.ListProviders(
                model_service_pb2.ListProvidersRequest(), timeout=5, metadata=(("authorization", "Bearer k"),)
            )
        except grpc.aio.AioRpcError as error:
            return from_rpc_error(error).reason
    return None


async def test_names_are_worth_what_the_certificate_says(certificates: Path, addresses: Addresses) -> None:
    inner, outer = addresses.internal("llm_gateway"), addresses.public("llm_gateway")
    async with serving(certificates, addresses):
        assert await call(certificates / "worker", inner, "review_worker") is None
        assert await call(certificates / "orgs", inner, "review_worker") is Reason.PERMISSION_DENIED
        assert await call(certificates / "worker", inner, "orgs") is Reason.PERMISSION_DENIED
        assert await call(certificates / "edge", outer, "gateway") is None
        assert await call(certificates / "worker", outer, "gateway") is Reason.PERMISSION_DENIED
        assert await call(certificates / "edge", inner, "gateway") is Reason.PERMISSION_DENIED


async def test_another_authority_s_certificate_gets_no_connection(certificates: Path, addresses: Addresses) -> None:
    async with serving(certificates, addresses):
        stranger = certificates / "strangers" / "worker"
        assert await call(stranger, addresses.internal("llm_gateway"), "review_worker") is Reason.UNAVAILABLE


async def test_a_caller_checks_whom_it_reached(certificates: Path, addresses: Addresses) -> None:
    async with serving(certificates, addresses):
        # Somebody of our authority listens where auth should be, and is another role.
        posing = Target(str(addresses.internal("llm_gateway")), "auth")
        assert await call(certificates / "worker", posing, "review_worker") is Reason.UNAVAILABLE


async def test_without_a_certificate_there_is_no_connection(certificates: Path, addresses: Addresses) -> None:
    async with serving(certificates, addresses):
        async with grpc.aio.insecure_channel(str(addresses.internal("llm_gateway"))) as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.ListProviders(model_service_pb2.ListProvidersRequest(), timeout=3)
        assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_tcp_without_tls_does_not_start(addresses: Addresses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINTEL_MESH_TLS", raising=False)
    tls.identity.cache_clear()
    server = RpcServer("toy", addresses.internal("llm_gateway"), [], {})
    with pytest.raises(ConfigError, match="LINTEL_MESH_TLS"):
        await server.start()
    with pytest.raises(ConfigError, match="LINTEL_MESH_TLS"):
        open_channel(addresses.internal("llm_gateway"), "toy")
