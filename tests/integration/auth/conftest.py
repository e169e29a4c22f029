"""Auth and orgs over their sockets, with the edge in front, on a database of the test's own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from lintel.auth.v1 import credential_service_pb2, credential_service_pb2_grpc

from gateway import app as gateway
from gateway.config import GatewayConfig
from services.auth import app as auth
from services.kit.config import load
from services.kit.postgres.pool import Database as Pool
from services.kit.rpc import lookups
from services.kit.rpc.context import Principal, set_principal
from services.orgs import app as orgs
from services.orgs.domain import Role
from services.orgs.invitations import Invitations
from tests.support.mesh import RunningMesh, running_mesh
from tests.support.postgres import Database
from tests.support.system import ANY_PORT

EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
ROLES = {"auth": auth.serve, "orgs": orgs.serve}


class Clock:
    """The time of auth's use cases: the real one, and what a test adds."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class World:
    """The running system as somebody outside sees it, and the database's owner."""

    mesh: RunningMesh
    api: httpx2.AsyncClient
    owner: "asyncpg.Pool[asyncpg.Record]"
    clock: Clock

    @property
    def credentials(self) -> credential_service_pb2_grpc.CredentialServiceStub:
        """Auth's internal service, as orgs calls it."""
        return credential_service_pb2_grpc.CredentialServiceStub(self.mesh.internal("auth", "orgs"))

    async def post(self, path: str, bearer: str = "", **body: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        return await self.api.post(path, json=body, headers=headers)

    async def get(self, path: str, bearer: str = "") -> httpx2.Response:
        return await self.api.get(path, headers={"authorization": f"Bearer {bearer}"} if bearer else {})

    async def register(self, email: str = EMAIL, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
        answer = await self.post("/auth/register", email=email, password=password, name="Ada", **more)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def login(self, email: str = EMAIL, password: str = PASSWORD) -> dict[str, Any]:
        answer = await self.post("/auth/login", email=email, password=password)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def works(self, token: str) -> bool:
        """Whether a credential opens anything: its own API keys."""
        answer = await self.get("/auth/api-keys", token)
        assert answer.status_code in (200, 401), answer.text
        return answer.status_code == 200

    async def invite(self, organization_id: UUID | str, email: str, role: str = "contributor") -> str:
        """Answer the token of an invitation, as an owner gets it."""
        async with Pool(self.mesh.database.app_dsn, "orgs", max_size=1) as pool:
            set_principal(Principal(UUID(str(organization_id)), None, "owner", "a key"))
            return (await Invitations(pool).invite(UUID(str(organization_id)), email, Role(role))).token

    async def set_member(self, user_id: str, **columns: str) -> None:
        for name, value in columns.items():
            await self.owner.execute(f"UPDATE orgs.members SET {name} = $2 WHERE user_id = $1", UUID(user_id), value)

    async def end_sessions(self, organization_id: str, user_id: str, *, keys: bool = False) -> Any:
        return await self.credentials.EndSessions(
            credential_service_pb2.EndSessionsRequest(
                organization_id=organization_id, user_id=user_id, ends_api_keys=keys
            )
        )


@asynccontextmanager
async def running_world(database: Database, environment: Mapping[str, str] | None = None) -> AsyncIterator[World]:
    clock = Clock()
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(auth, "utc_now", clock)
        patch.setattr(lookups, "KNOWN_SECONDS", 0.2)  # tests/unit/kit/test_authenticate.py has the real figure
        mesh = await stack.enter_async_context(running_mesh(database, ROLES, environment))
        settings = {"LINTEL_RUN_DIR": str(mesh.mesh.addresses.run_dir), **ANY_PORT}
        edge = await stack.enter_async_context(gateway.running(load(GatewayConfig, settings)))
        owner = await stack.enter_async_context(asyncpg.create_pool(database.owner_dsn, min_size=0, max_size=3))
        url = f"http://127.0.0.1:{edge.port}"
        api = await stack.enter_async_context(httpx2.AsyncClient(base_url=url, trust_env=False, timeout=30))
        yield World(mesh, api, owner, clock)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with running_world(database) as made:
        yield made


@pytest.fixture
async def open_world(database: Database) -> AsyncIterator[World]:
    """Where everybody may register."""
    async with running_world(database, {"LINTEL_OPEN_REGISTRATION": "true"}) as made:
        yield made


def problem(answer: httpx2.Response) -> tuple[int, str]:
    """Status and reason of a refusal."""
    return answer.status_code, answer.json()["reason"]
