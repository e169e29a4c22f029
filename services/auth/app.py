"""Builds the auth service."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from services.auth import policy, server
from services.auth.api_keys import ApiKeys
from services.auth.config import AuthSettings
from services.auth.store import ApiKeyStore
from services.kit.app import Mesh, serving
from services.kit.config import load
from services.kit.postgres.pool import Database
from services.kit.rpc.authenticate import authenticator
from services.kit.rpc.server import RpcServer

ROLE = "auth"
_CONNECTIONS = 10  # its queries are short


@asynccontextmanager
async def serve(mesh: Mesh) -> AsyncIterator[None]:
    """Serve API keys to the edge, and whose they are to the mesh."""
    settings = load(AuthSettings)
    async with AsyncExitStack() as stack:
        database = Database(settings.dsn, ROLE, max_size=min(settings.database_pool_max, _CONNECTIONS))
        await database.open()
        stack.push_async_callback(database.close)
        api_keys = ApiKeys(ApiKeyStore(database))
        public = RpcServer(
            ROLE,
            mesh.public(ROLE),
            [server.register_public(api_keys)],
            policy.PUBLIC,
            # Its own callers are found like everybody's: over the socket, remembered for seconds.
            authenticator=authenticator(mesh, ROLE, stack),
            with_reflection=mesh.has_reflection,
        )
        internal = RpcServer(
            ROLE,
            mesh.internal(ROLE),
            [server.register_internal(api_keys)],
            policy.INTERNAL,
            with_reflection=mesh.has_reflection,
        )
        await stack.enter_async_context(serving([internal, public], database))
        yield
