"""Roles of the real system in this process, on sockets in a private directory, over a real database."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
import pytest

from services.auth.api_keys import ApiKeys
from services.auth.domain import Owner
from services.auth.store import ApiKeyStore
from services.bootstrap import bootstrap
from services.kit import paging
from services.kit.app import Mesh, Serve
from services.kit.bus.in_process import InProcessBus
from services.kit.postgres.pool import Database
from services.kit.rpc.addresses import Addresses
from services.kit.rpc.channel import open_channel
from tests.support.postgres import Database as TestDatabase
from tests.support.rpc import short_directory

JWT_SECRET = "Q8v1nT4xkZr2Lw7yBd5sHf9mJc3pGa6e"
CRYPTO_KEY = "8f1d3c5b7a9e0246cdfe13579bdf02468ace9f1e2d3c4b5a69788796a5b4c3d2"


@dataclass(frozen=True)
class Caller:
    """Somebody with a key, and the stubs to call with."""

    organization_id: UUID
    key: str

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.key}"),)


@dataclass(frozen=True)
class RunningMesh:
    """Roles that serve, and the database they share."""

    mesh: Mesh
    database: TestDatabase
    local: Caller  # the installation's own key, role owner
    stack: AsyncExitStack

    def public(self, role: str) -> grpc.aio.Channel:
        """A channel as the edge opens it."""
        return self._open(self.mesh.public(role), "gateway")

    def internal(self, role: str, caller: str) -> grpc.aio.Channel:
        """A channel as a role of the mesh opens it."""
        return self._open(self.mesh.internal(role), caller)

    def _open(self, address: str, caller: str) -> grpc.aio.Channel:
        channel = open_channel(address, caller)
        self.stack.push_async_callback(channel.close)
        return channel

    async def caller(self, role: str, organization_id: UUID | None = None, *scopes: str) -> Caller:
        """Make a key of the installation with a role, in the default organisation or another."""
        owner = Owner(organization_id or self.local.organization_id, None)
        database = Database(self.database.app_dsn, "auth", max_size=1)
        await database.open()
        try:
            _, key = await ApiKeys(ApiKeyStore(database)).create(owner, role, f"a {role}", scopes, None)
        finally:
            await database.close()
        return Caller(owner.organization_id, key)


@asynccontextmanager
async def running_mesh(
    database: TestDatabase, roles: Mapping[str, Serve], environ: Mapping[str, str] | None = None
) -> AsyncIterator[RunningMesh]:
    """Bootstrap the database and run `roles` on it."""
    variables = {
        "DATABASE_URL": database.app_dsn,
        "API_CRYPTO_KEY": CRYPTO_KEY,
        "API_JWT_SECRET": JWT_SECRET,
        **(environ or {}),
    }
    with pytest.MonkeyPatch.context() as patch, short_directory() as directory:
        for name in [n for n in os.environ if n.startswith(("API_", "LINTEL_"))]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        paging._keys.cache_clear()
        organization_id, key = await bootstrap(database.app_dsn)
        assert key is not None
        mesh = Mesh(Addresses(directory), InProcessBus())
        async with AsyncExitStack() as stack:
            for role in roles.values():
                await stack.enter_async_context(role(mesh))
            channels: Any = await stack.enter_async_context(AsyncExitStack())
            yield RunningMesh(mesh, database, Caller(organization_id, key), channels)
        paging._keys.cache_clear()
