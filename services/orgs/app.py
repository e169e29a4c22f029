"""Builds the orgs service."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from services.kit.app import Mesh, serving
from services.kit.config import load
from services.kit.postgres.idempotency import IdempotencyKeys
from services.kit.postgres.pool import Database
from services.kit.rpc.authenticate import authenticator
from services.kit.rpc.server import Repeatable, RpcServer
from services.orgs import policy, server
from services.orgs.config import OrgsSettings
from services.orgs.organizations import Organizations
from services.orgs.store import OrganizationStore

ROLE = "orgs"
_CONNECTIONS = 10  # its queries are short


@asynccontextmanager
async def serve(mesh: Mesh) -> AsyncIterator[None]:
    """Serve organisations to the edge, and which one is the default to the mesh."""
    settings = load(OrgsSettings)
    async with AsyncExitStack() as stack:
        database = Database(settings.dsn, ROLE, max_size=min(settings.database_pool_max, _CONNECTIONS))
        await database.open()
        stack.push_async_callback(database.close)
        organizations = Organizations(OrganizationStore(database))
        public = RpcServer(
            ROLE,
            mesh.public(ROLE),
            [server.register_public(organizations)],
            policy.PUBLIC,
            authenticator=authenticator(mesh, ROLE, stack),
            with_reflection=mesh.has_reflection,
            repeatable=Repeatable(IdempotencyKeys(database, ROLE), {}),
        )
        internal = RpcServer(
            ROLE,
            mesh.internal(ROLE),
            [server.register_internal(organizations)],
            policy.INTERNAL,
            with_reflection=mesh.has_reflection,
        )
        await stack.enter_async_context(serving([internal, public], database))
        yield
