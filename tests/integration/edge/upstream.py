"""Roles for the edge to talk to: our own servers and error path with small servicers behind them, steered by tests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from lintel.auth.v1 import api_key_service_pb2 as keys
from lintel.auth.v1 import api_key_service_pb2_grpc as keys_grpc
from lintel.llm.v1 import model_service_pb2 as models
from lintel.llm.v1 import model_service_pb2_grpc as models_grpc
from lintel.orgs.v1 import organization_service_pb2 as orgs
from lintel.orgs.v1 import organization_service_pb2_grpc as orgs_grpc
from lintel.review.v1 import code_review_service_pb2 as reviews
from lintel.review.v1 import code_review_service_pb2_grpc as reviews_grpc
from lintel.review.v1 import review_pb2
from lintel.webhooks.v1 import delivery_service_pb2 as deliveries
from lintel.webhooks.v1 import delivery_service_pb2_grpc as deliveries_grpc
from lintel.webhooks.v1 import ingest_service_pb2 as ingest
from lintel.webhooks.v1 import ingest_service_pb2_grpc as ingest_grpc

from gateway.public import PUBLIC_SERVICES
from services.kit.errors import AppError, Reason
from services.kit.rpc.context import Principal
from services.kit.rpc.policy import EVERYONE, internal, methods, read
from services.kit.rpc.server import Registered, RpcServer

KEY = "lintel_test_key"
ID = "0190a1b2-0000-7000-8000-000000000001"
WHEN = Timestamp(seconds=1_700_000_000, nanos=120_000_000)


@dataclass
class Script:
    """What the roles do next: an error for every call, or an answer by method; and what they saw."""

    error: Exception | None = None
    answers: dict[str, Message] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    events: "asyncio.Queue[Any]" = field(default_factory=asyncio.Queue)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    watch_ended: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None

    async def play(self, method: str, request: Any, context: Any, default: Message) -> Any:
        """Note the call and answer it as the test wants."""
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.called.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        return self.answers.get(method, default)


class _Keys(keys_grpc.ApiKeyServiceServicer):
    def __init__(self, script: Callable[[], Script]) -> None:
        self._script = script

    async def CreateApiKey(self, request: Any, context: Any) -> Any:
        made = keys.CreateApiKeyResponse(
            api_key=keys.ApiKey(id=ID, name=request.name, scopes=request.scopes, create_time=WHEN), key="secret"
        )
        return await self._script().play("CreateApiKey", request, context, made)

    async def ListApiKeys(self, request: Any, context: Any) -> Any:
        return await self._script().play("ListApiKeys", request, context, keys.ListApiKeysResponse())

    async def DeleteApiKey(self, request: Any, context: Any) -> Any:
        return await self._script().play("DeleteApiKey", request, context, Empty())


class _Orgs(orgs_grpc.OrganizationServiceServicer):
    def __init__(self, script: Callable[[], Script]) -> None:
        self._script = script

    async def GetOrganization(self, request: Any, context: Any) -> Any:
        return await self._script().play("GetOrganization", request, context, orgs.Organization(id=ID, name="Örg"))


class _Models(models_grpc.ModelServiceServicer):
    def __init__(self, script: Callable[[], Script]) -> None:
        self._script = script

    async def ListProviders(self, request: Any, context: Any) -> Any:
        return await self._script().play("ListProviders", request, context, models.ListProvidersResponse())

    async def ListModels(self, request: Any, context: Any) -> Any:
        return await self._script().play("ListModels", request, context, models.ListModelsResponse())

    async def TestModel(self, request: Any, context: Any) -> Any:
        return await self._script().play("TestModel", request, context, models.TestModelResponse())


class _Deliveries(deliveries_grpc.DeliveryServiceServicer):
    def __init__(self, script: Callable[[], Script]) -> None:
        self._script = script

    async def ListDeliveries(self, request: Any, context: Any) -> Any:
        return await self._script().play("ListDeliveries", request, context, deliveries.ListDeliveriesResponse())

    async def GetDelivery(self, request: Any, context: Any) -> Any:
        return await self._script().play("GetDelivery", request, context, deliveries.Delivery(id=request.id))

    async def RedeliverDelivery(self, request: Any, context: Any) -> Any:
        return await self._script().play("RedeliverDelivery", request, context, deliveries.Delivery(id=request.id))

    async def GetWebhookHealth(self, request: Any, context: Any) -> Any:
        return await self._script().play("GetWebhookHealth", request, context, deliveries.GetWebhookHealthResponse())

    async def ListDeadLetters(self, request: Any, context: Any) -> Any:
        return await self._script().play("ListDeadLetters", request, context, deliveries.ListDeadLettersResponse())

    async def ReplayDeadLetter(self, request: Any, context: Any) -> Any:
        return await self._script().play("ReplayDeadLetter", request, context, deliveries.DeadLetter(id=request.id))


class _Reviews(reviews_grpc.CodeReviewServiceServicer):
    def __init__(self, script: Callable[[], Script]) -> None:
        self._script = script

    async def ListReviews(self, request: Any, context: Any) -> Any:
        return await self._script().play("ListReviews", request, context, reviews.ListReviewsResponse())

    async def GetReview(self, request: Any, context: Any) -> Any:
        return await self._script().play("GetReview", request, context, a_review(request.id))

    async def ListFindings(self, request: Any, context: Any) -> Any:
        return await self._script().play("ListFindings", request, context, reviews.ListFindingsResponse())

    async def GetReceipt(self, request: Any, context: Any) -> Any:
        return await self._script().play("GetReceipt", request, context, review_pb2.Receipt())

    async def CancelReview(self, request: Any, context: Any) -> Any:
        return await self._script().play("CancelReview", request, context, reviews.CancelReviewResponse())

    async def WatchReview(self, request: Any, context: Any) -> AsyncIterator[Any]:
        script = self._script()
        await script.play("WatchReview", request, context, Empty())
        try:
            while (event := await script.events.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            script.watch_ended.set()


class _Ingest(ingest_grpc.IngestServiceServicer):
    def __init__(self, script: Callable[[], Script]) -> None:
        self._script = script

    async def Ingest(self, request: Any, context: Any) -> Any:
        stored = ingest.IngestResponse(outcome=ingest.INGEST_OUTCOME_STORED, delivery_id=ID)
        return await self._script().play("Ingest", request, context, stored)


def a_review(identifier: str) -> reviews.GetReviewResponse:
    """A review with one finding and without a receipt."""
    return reviews.GetReviewResponse(
        review=review_pb2.Review(id=identifier, state=review_pb2.REVIEW_STATE_RUNNING, create_time=WHEN),
        findings=[
            review_pb2.Finding(
                id=ID, side=review_pb2.SIDE_RIGHT, start_line=3, severity=review_pb2.SEVERITY_HIGH, confidence=0.5
            )
        ],
    )


@dataclass
class Upstream:
    """The running roles and the script they follow."""

    run_dir: Path
    servers: dict[str, RpcServer]
    script: Script = field(default_factory=Script)


async def authenticate(credential: str) -> Principal:
    """Accept the test's key only."""
    if credential != KEY:
        raise AppError(Reason.UNAUTHENTICATED, "The key is not valid.")
    return Principal(UUID(ID), None, "owner", "test")


@asynccontextmanager
async def serve_roles(run_dir: Path) -> AsyncIterator[Upstream]:
    """Serve all roles below a directory until the block ends."""
    upstream = Upstream(run_dir, {})

    def script() -> Script:
        return upstream.script

    table: list[tuple[str, Callable[[Any, Any], None], Any, Any]] = [
        ("auth", keys_grpc.add_ApiKeyServiceServicer_to_server, _Keys(script), keys),
        ("orgs", orgs_grpc.add_OrganizationServiceServicer_to_server, _Orgs(script), orgs),  # type: ignore[abstract]
        ("llm_gateway", models_grpc.add_ModelServiceServicer_to_server, _Models(script), models),
        ("webhooks", deliveries_grpc.add_DeliveryServiceServicer_to_server, _Deliveries(script), deliveries),
        ("review", reviews_grpc.add_CodeReviewServiceServicer_to_server, _Reviews(script), reviews),
    ]
    async with AsyncExitStack() as stack:
        for role, add, servicer, module in table:
            (descriptor,) = module.DESCRIPTOR.services_by_name.values()
            services = [Registered(add, servicer, descriptor), *_others(role, descriptor)]
            policy = {method: read(EVERYONE) for method in methods([s.descriptor for s in services])}
            server = RpcServer(
                role,
                f"unix:{run_dir / role}.public.sock",
                services,
                policy,
                authenticator=authenticate,
            )
            upstream.servers[role] = server
            await _start(stack, server)
        descriptor = ingest.DESCRIPTOR.services_by_name["IngestService"]
        add = ingest_grpc.add_IngestServiceServicer_to_server
        policy = {method: internal("gateway") for method in methods([descriptor])}
        registered = Registered(add, _Ingest(script), descriptor)
        await _start(stack, RpcServer("webhooks", f"unix:{run_dir / 'webhooks.sock'}", [registered], policy))
        for role in ("webhooks_worker", "review_worker"):
            upstream.servers[role] = RpcServer(role, f"unix:{run_dir / role}.sock", [], {})
            await _start(stack, upstream.servers[role])
        yield upstream


def _others(role: str, scripted: ServiceDescriptor) -> list[Registered]:
    """Answer the other public services of a role, which nothing here calls: their RPCs are not implemented."""
    found = []
    for service in PUBLIC_SERVICES:
        if service.role == role and service.descriptor is not scripted:
            name = service.descriptor.name
            module = import_module(service.descriptor.file.name.replace("/", ".").removesuffix(".proto") + "_pb2_grpc")
            add = getattr(module, f"add_{name}Servicer_to_server")
            found.append(Registered(add, getattr(module, f"{name}Servicer")(), service.descriptor))
    return found


async def _start(stack: AsyncExitStack, server: RpcServer) -> None:
    await server.start()
    stack.push_async_callback(server.stop, 0)
    await server.set_serving(True)
