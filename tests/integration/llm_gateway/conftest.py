"""The gateway on its socket, over a real database and the real directory of organisations, before strict servers."""

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from lintel.llm.v1 import llm_service_pb2 as pb
from lintel.llm.v1 import model_configuration_service_pb2 as configuration_pb2
from lintel.llm.v1.llm_service_pb2_grpc import LlmServiceStub
from lintel.llm.v1.model_configuration_service_pb2_grpc import ModelConfigurationServiceStub
from lintel.llm.v1.usage_service_pb2_grpc import UsageServiceStub

from emulators.openai import OpenAIEmulator
from services.auth import app as auth
from services.kit.rpc.status import rpc_errors
from services.llm_gateway import app as llm_gateway
from services.orgs import app as orgs
from tests.support.mesh import RunningMesh, running_mesh
from tests.support.postgres import Database

KEY = "sk-emulated-Zx81Qq-key"
_numbers = itertools.count(1)


@dataclass
class World:
    """A running gateway and what stands around it."""

    mesh: RunningMesh
    emulators: list[OpenAIEmulator]
    previous: dict[str, Any] = field(default_factory=dict)

    @property
    def emulator(self) -> OpenAIEmulator:
        return self.emulators[0]

    @property
    def organization_id(self) -> UUID:
        return self.mesh.local.organization_id

    @property
    def llm(self) -> LlmServiceStub:
        return LlmServiceStub(self.mesh.internal("llm_gateway", "review_worker"))

    @property
    def usage(self) -> UsageServiceStub:
        return UsageServiceStub(self.mesh.public("llm_gateway"))

    def request(self, **changes: Any) -> pb.CompleteRequest:
        wanted: dict[str, Any] = {
            "organization_id": str(self.organization_id),
            "request_id": f"test-{next(_numbers)}",
            "purpose": "review",
            "instructions": "Answer with JSON, as the schema says.",
            "input": "DATA BEGIN\nx = 1\nDATA END",
            "json_schema": '{"type":"object","properties":{},"required":[],"additionalProperties":false}',
            "max_output_tokens": 500,
        }
        return pb.CompleteRequest(**(wanted | changes))

    async def complete(self, **changes: Any) -> pb.CompleteResponse:
        """Ask once; raises AppError."""
        with rpc_errors():
            return await self.llm.Complete(self.request(**changes), timeout=60)

    async def configure(self, **configuration: Any) -> dict[str, Any]:
        """Store a model configuration as orgs does; answers what it stores. Raises AppError."""
        stub = ModelConfigurationServiceStub(self.mesh.internal("llm_gateway", "orgs"))
        request = configuration_pb2.StoreModelConfigurationRequest(
            organization_id=str(self.organization_id),
            configuration=ParseDict(configuration, Struct()),
            previous=ParseDict(self.previous, Struct()),
        )
        with rpc_errors():
            answer = await stub.StoreModelConfiguration(request, timeout=30)
        self.previous = MessageToDict(answer.configuration)
        await self.sql(
            "INSERT INTO orgs.parameters (organization_id, key, config_value, etag) VALUES ($1, 'code-review', $2, '') "
            "ON CONFLICT (organization_id, key) DO UPDATE SET config_value = excluded.config_value",
            self.organization_id,
            json.dumps(self.previous),
        )
        return self.previous

    async def sql(self, statement: str, *arguments: Any) -> list[Any]:
        """Run a statement as the owner of the database."""
        connection = await asyncpg.connect(self.mesh.database.owner_dsn)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()


Make = Callable[..., Awaitable[World]]


@pytest.fixture
async def world(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Starts emulators with these answers, each list one, and the gateway with the first as its forced address."""
    monkeypatch.setattr("services.llm_gateway.routing.KEPT_SECONDS", 0.0)  # what is configured holds at once
    async with AsyncExitStack() as stack:

        async def make(*answers: Any, environ: dict[str, str] | None = None, **options: Any) -> World:
            emulators = []
            for script in answers or ((),):
                emulator = OpenAIEmulator(script, **{"key": KEY} | options)
                await emulator.start()
                stack.push_async_callback(emulator.stop)
                emulators.append(emulator)
            variables = {
                "API_OPENAI_FORCE_BASE_URL": emulators[0].url,
                "API_OPEN_AI_API_KEY": KEY,
                "API_LLM_PROVIDER_MODEL": "test-model",
                "LINTEL_MODEL_SECONDS": "20",
                "LINTEL_ALLOW_LOOPBACK_MODELS": "true",
                "LINTEL_MODEL_PRICES": '{"test-model": {"input": 1, "output": 2}}',
            } | (environ or {})
            roles = {"auth": auth.serve, "orgs": orgs.serve, "llm_gateway": llm_gateway.serve}
            chosen = {name: value for name, value in variables.items() if value}
            mesh = await stack.enter_async_context(running_mesh(database, roles, chosen))
            return World(mesh, emulators)

        yield make


def own(emulator: OpenAIEmulator, **changes: Any) -> dict[str, Any]:
    """A Model of byokConfig that is served by an emulator."""
    return {
        "provider": "openai_compatible",
        "apiKey": KEY,
        "model": "test-model",
        "baseURL": emulator.url,
    } | changes
