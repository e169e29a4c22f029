"""Real gRPC servers on unix sockets for tests: one toy service of each kind, whose behaviour a test gives."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
from lintel.auth.v1 import api_key_service_pb2, api_key_service_pb2_grpc
from lintel.llm.v1 import model_service_pb2, model_service_pb2_grpc
from lintel.review.v1 import code_review_service_pb2, code_review_service_pb2_grpc

from services.kit.rpc.channel import open_channel
from services.kit.rpc.context import Principal
from services.kit.rpc.middlewares import Authenticator
from services.kit.rpc.policy import Policy, Rule, internal, methods
from services.kit.rpc.server import Registered, RpcServer

CALLER = "tests"
LIST_PROVIDERS = "/lintel.llm.v1.ModelService/ListProviders"
ORGANIZATION = UUID("018f0000-0000-7000-8000-000000000001")

Handle = Callable[[Any, Any], Awaitable[Any]]
Stream = Callable[[Any, Any], AsyncIterator[Any]]


@contextmanager
def short_directory() -> Iterator[Path]:
    """Give a private directory whose path leaves room for a socket's name (107 bytes)."""
    with tempfile.TemporaryDirectory(prefix="lt") as path:
        yield Path(path)


class _Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def ListProviders(self, request: Any, context: Any) -> Any:
        return await self._handle(request, context)


class _Reviews(code_review_service_pb2_grpc.CodeReviewServiceServicer):
    def __init__(self, watch: Stream) -> None:
        self._watch = watch

    async def WatchReview(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for message in self._watch(request, context):
            yield message


class _Keys(api_key_service_pb2_grpc.ApiKeyServiceServicer):
    async def CreateApiKey(self, request: Any, context: Any) -> Any:
        return api_key_service_pb2.CreateApiKeyResponse(key=request.name)


def models(handle: Handle) -> Registered:
    """A service with one unary RPC."""
    return Registered(
        model_service_pb2_grpc.add_ModelServiceServicer_to_server,
        _Models(handle),  # type: ignore[abstract]  # the other RPCs answer UNIMPLEMENTED
        model_service_pb2.DESCRIPTOR.services_by_name["ModelService"],
    )


def reviews(watch: Stream) -> Registered:
    """A service whose WatchReview streams."""
    return Registered(
        code_review_service_pb2_grpc.add_CodeReviewServiceServicer_to_server,
        _Reviews(watch),  # type: ignore[abstract]  # the other RPCs answer UNIMPLEMENTED
        code_review_service_pb2.DESCRIPTOR.services_by_name["CodeReviewService"],
    )


def keys() -> Registered:
    """A service whose requests have declared rules; it answers with the name it is given."""
    return Registered(
        api_key_service_pb2_grpc.add_ApiKeyServiceServicer_to_server,
        _Keys(),  # type: ignore[abstract]  # the same
        api_key_service_pb2.DESCRIPTOR.services_by_name["ApiKeyService"],
    )


async def providers(request: Any, context: Any) -> model_service_pb2.ListProvidersResponse:
    """Answer without providers."""
    return model_service_pb2.ListProvidersResponse()


@dataclass(frozen=True)
class Running:
    """A server that listens, and a channel to it."""

    server: RpcServer
    address: str
    channel: grpc.aio.Channel

    @property
    def models(self) -> Any:
        return model_service_pb2_grpc.ModelServiceStub(self.channel)

    @property
    def reviews(self) -> Any:
        return code_review_service_pb2_grpc.CodeReviewServiceStub(self.channel)

    @property
    def keys(self) -> Any:
        return api_key_service_pb2_grpc.ApiKeyServiceStub(self.channel)

    async def list_providers(self, **options: Any) -> Any:
        return await self.models.ListProviders(model_service_pb2.ListProvidersRequest(), **options)

    def watch(self, **options: Any) -> Any:
        request = code_review_service_pb2.WatchReviewRequest(id="018f0000-0000-7000-8000-000000000002")
        return self.reviews.WatchReview(request, **options)


def policy_of(services: Sequence[Registered], rule: Rule) -> Policy:
    """One rule for every RPC."""
    return dict.fromkeys(methods(s.descriptor for s in services), rule)


@asynccontextmanager
async def running(
    *services: Registered,
    rule: Rule | None = None,
    authenticator: Authenticator | None = None,
    caller: str = CALLER,
) -> AsyncIterator[Running]:
    """Run a server of `services`, internal unless there is an authenticator."""
    with short_directory() as directory:
        address = f"unix:{directory}/s.sock"
        policy = policy_of(services, rule or internal(CALLER))
        server = RpcServer("toy", address, services, policy, authenticator=authenticator)
        await server.start()
        await server.set_serving(True)
        try:
            async with open_channel(address, caller) as channel:
                yield Running(server, address, channel)
        finally:
            await server.stop(0)


def principal_with(role: str, *scopes: str) -> Principal:
    """Somebody with a role."""
    return Principal(ORGANIZATION, None, role, "a key", frozenset(scopes or ("all",)))
