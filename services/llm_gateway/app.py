"""Builds the llm_gateway service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from services.kit.app import Mesh, serving
from services.kit.config import load
from services.kit.errors import AppError
from services.kit.postgres.pool import Database, DatabaseError
from services.kit.rpc.authenticate import authenticator
from services.kit.rpc.channel import open_channel
from services.kit.rpc.server import RpcServer
from services.kit.telemetry import log
from services.kit.worker import running
from services.llm_gateway import policy, server, store
from services.llm_gateway.asking import Asker
from services.llm_gateway.books import Books
from services.llm_gateway.breaker import Circuits
from services.llm_gateway.clients import OrganizationParameters
from services.llm_gateway.completions import Completions
from services.llm_gateway.config import LlmGatewaySettings
from services.llm_gateway.credential_store import CredentialStore
from services.llm_gateway.environment import from_environment
from services.llm_gateway.guard import address_guard
from services.llm_gateway.ledger import Ledger
from services.llm_gateway.model_keys import ModelKeys
from services.llm_gateway.models import Models
from services.llm_gateway.opened import OpenedModels
from services.llm_gateway.providers.opening import open_model
from services.llm_gateway.providers.wire import Network
from services.llm_gateway.routing import Routing
from services.llm_gateway.usage import UsageReports

ROLE = "llm_gateway"
MAX_CALLS = 2048  # at once on the internal listener: most of them only wait for a provider
_CONNECTIONS = 10  # its queries are short, and those of one moment go together
_GRACE = 5.0


@asynccontextmanager
async def serve(mesh: Mesh) -> AsyncIterator[None]:
    """Serve models, usage and budgets to the edge, and completions to the mesh."""
    settings = load(LlmGatewaySettings)
    environment, prices = settings.environment(), settings.prices()
    for note in from_environment(environment).notes:
        log.get(ROLE).warning("model settings", note=note)
    network = Network(allowed=settings.allowed(), loopback=settings.allow_loopback)
    vault = settings.vault(ROLE)
    clock = asyncio.get_running_loop().time
    async with AsyncExitStack() as stack:
        database = Database(settings.dsn, ROLE, max_size=min(settings.database_pool_max, _CONNECTIONS))
        for_calls = Database(
            settings.dsn, ROLE, max_size=min(settings.database_pool_max, _CONNECTIONS), settings=store.SETTINGS
        )
        for each in (database, for_calls):
            await each.open()
            stack.push_async_callback(each.close)
        orgs = open_channel(mesh.internal("orgs"), ROLE)
        stack.push_async_callback(orgs.close)
        calls = store.CallStore(for_calls)
        ledger = Ledger(calls)
        stack.push_async_callback(ledger.aclose)
        opened = OpenedModels(lambda model: open_model(model, network))
        stack.push_async_callback(opened.aclose)
        credentials = CredentialStore(database)
        keys = ModelKeys(credentials, vault, address_guard(network))
        routing = Routing(OrganizationParameters(orgs), keys, environment, opened, clock)
        books = Books(ledger, vault, prices, seconds=settings.seconds, cache_for=settings.cache_for)
        asker = Asker(opened, Circuits(clock), prices)
        completions = Completions(routing, asker, books, seconds=settings.seconds)
        stack.push_async_callback(completions.aclose)
        models = Models(environment, routing, keys, opened, prices)
        await stack.enter_async_context(running([ledger.sweep()], grace=_GRACE))
        public = RpcServer(
            ROLE,
            mesh.public(ROLE),
            server.public(models, UsageReports(calls), prices),
            policy.PUBLIC,
            authenticator=authenticator(mesh, ROLE, stack),
            with_reflection=mesh.has_reflection,
        )
        internal = RpcServer(
            ROLE,
            mesh.internal(ROLE),
            server.internal(completions, keys),
            policy.INTERNAL,
            with_reflection=mesh.has_reflection,
            max_calls=MAX_CALLS,
        )
        has_environment = bool(from_environment(environment).candidates)
        brought = False

        async def model() -> str | None:
            """Tell health that somebody has a model; whether its provider answers is asked of no provider."""
            nonlocal brought
            if has_environment:
                return ""
            with suppress(AppError, DatabaseError):  # no database, or no schema yet: what was known last counts
                brought = await credentials.any_used()
            return "" if brought else None

        await stack.enter_async_context(serving([internal, public], database, {"llm": model}))
        yield
