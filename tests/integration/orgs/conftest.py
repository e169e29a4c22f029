"""The use cases of orgs on a database of the test's own, called by an owner."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database as Pool
from services.kit.rpc.context import Principal, set_principal
from services.orgs.invitations import Invitations
from services.orgs.members import Members
from services.orgs.organizations import Organizations
from tests.support.postgres import Database


@dataclass
class Auth:
    """Stands for auth's half of a user: what was asked of it, in order; it does not answer while `is_down`."""

    asked: list[tuple[str, UUID]] = field(default_factory=list)
    is_down: bool = False

    async def end_sessions(self, organization_id: UUID, user_id: UUID) -> None:
        self._note("end_sessions", user_id)

    async def delete(self, organization_id: UUID, user_id: UUID) -> None:
        self._note("delete", user_id)

    def _note(self, what: str, user_id: UUID) -> None:
        if self.is_down:
            raise AppError(Reason.UNAVAILABLE)
        self.asked.append((what, user_id))


@dataclass
class Orgs:
    """The use cases, and a clock that tests may set."""

    database: Pool
    auth: Auth
    now: datetime = datetime(2026, 3, 1, tzinfo=UTC)

    def __post_init__(self) -> None:
        self.organizations = Organizations(self.database)
        self.members = Members(self.database, self.auth)
        self.invitations = Invitations(self.database, lambda: self.now)

    async def owner(self, email: str = "owner@example.com") -> tuple[UUID, UUID]:
        """Register the first user, and call as them from here on; answers organisation and user."""
        user_id = uuid4()
        made = await self.organizations.create_with_owner(user_id, email, "Olga", "", is_open=True)
        self.call_as(made, user_id)
        return made, user_id

    def call_as(self, organization_id: UUID, user_id: UUID | None, role: str = "owner") -> None:
        set_principal(Principal(organization_id, user_id, role, "a key"))

    async def log(self, organization_id: UUID) -> list[tuple[str, str, str]]:
        """Answer who did what to which resource, oldest first."""
        async with self.database.tenant(organization_id) as connection:
            rows = await connection.fetch("SELECT * FROM orgs.audit_log ORDER BY sequence")
        return [(row["actor_id"], row["action"], row["resource_id"]) for row in rows]


@pytest.fixture
async def orgs(database: Database) -> AsyncIterator[Orgs]:
    pool = Pool(database.app_dsn, "orgs", max_size=8)
    await pool.open()
    yield Orgs(pool, Auth())
    await pool.close()


@pytest.fixture(autouse=True)
def crypto_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from services.kit import paging
    from tests.support.mesh import CRYPTO_KEY

    monkeypatch.setenv("API_CRYPTO_KEY", CRYPTO_KEY)
    paging._keys.cache_clear()
    yield
    paging._keys.cache_clear()
