"""Use cases around teams."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.kit import paging
from services.kit.errors import AppError, Reason
from services.kit.ids import resource_id
from services.kit.postgres import audit
from services.kit.postgres.audit import Change
from services.kit.postgres.pool import Connection, Database, Row
from services.orgs import team_store as store
from services.orgs.domain import Team
from services.orgs.members import locked


class Teams:
    """Teams of one organisation at a time. Every method raises AppError(NOT_FOUND) for a team that is not there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organization_id: UUID, team_id: UUID) -> Team:
        """Answer a team."""
        async with self._database.tenant(organization_id) as connection:
            return await _existing(connection, organization_id, team_id)

    async def page(self, organization_id: UUID, page_size: int, page_token: str) -> tuple[Sequence[Team], str]:
        """Answer a page of teams by name, and the token of the next. Raises AppError(PAGE_TOKEN_INVALID)."""
        size, query = paging.size(page_size), f"orgs.teams/{organization_id}"
        cursor = paging.decode(page_token, query) if page_token else None
        after = (cursor["name"], UUID(cursor["id"])) if cursor else None
        async with self._database.tenant(organization_id) as connection:
            found = await store.page(connection, organization_id, after, size + 1)
        if len(found) <= size:
            return found, ""
        return found[:size], paging.encode({"name": found[size - 1].name, "id": str(found[size - 1].id)}, query)

    async def create(self, organization_id: UUID, name: str) -> Team:
        """Make a team. Raises AppError(NAME_TAKEN)."""
        async with self._database.tenant(organization_id) as connection:
            made = await store.insert(connection, organization_id, resource_id(), name)
            await _record(connection, "team.create", made, [Change("name", None, name)])
        return made

    async def rename(self, organization_id: UUID, team_id: UUID, name: str | None) -> Team:
        """Give a team another name, if one is given, and answer it. Raises AppError(NAME_TAKEN)."""
        async with self._database.tenant(organization_id) as connection:
            before = await _existing(connection, organization_id, team_id, lock=True)
            if name is None or name == before.name:
                return before
            after = await store.rename(connection, organization_id, team_id, name)
            await _record(connection, "team.update", after, [Change("name", before.name, name)])
        return after

    async def delete(self, organization_id: UUID, team_id: UUID) -> None:
        """End a team."""
        async with self._database.tenant(organization_id) as connection:
            team = await _existing(connection, organization_id, team_id, lock=True)
            await store.delete(connection, organization_id, team_id)
            await _record(connection, "team.delete", team, [Change("name", team.name, None)])

    async def members(
        self, organization_id: UUID, team_id: UUID, page_size: int, page_token: str
    ) -> tuple[Sequence[Row], str]:
        """Answer a page of a team's members (user_id, email, name, create_time), and the token of the next."""
        size, query = paging.size(page_size), f"orgs.team_members/{organization_id}/{team_id}"
        cursor = paging.decode(page_token, query) if page_token else None
        after = (datetime.fromisoformat(cursor["time"]), UUID(cursor["id"])) if cursor else None
        async with self._database.tenant(organization_id) as connection:
            await _existing(connection, organization_id, team_id)
            found = await store.members(connection, organization_id, team_id, after, size + 1)
        if len(found) <= size:
            return found, ""
        last = found[size - 1]
        cursor = {"time": last["create_time"].isoformat(), "id": str(last["user_id"])}
        return found[:size], paging.encode(cursor, query)

    async def add(self, organization_id: UUID, team_id: UUID, user_id: UUID) -> Row:
        """Take a member of the organisation into a team and answer them; NOT_FOUND also for a user who is none."""
        async with self._database.tenant(organization_id) as connection:
            team = await _existing(connection, organization_id, team_id, lock=True)
            await locked(connection, organization_id, user_id)
            if await store.add_member(connection, organization_id, team_id, user_id):
                await _record(connection, "team.add_member", team, [Change("userId", None, str(user_id))])
            found = await store.member(connection, organization_id, team_id, user_id)
        assert found is not None, "the member was added in this transaction"
        return found

    async def remove(self, organization_id: UUID, team_id: UUID, user_id: UUID) -> None:
        """Take somebody out of a team; NOT_FOUND also if they are not in it."""
        async with self._database.tenant(organization_id) as connection:
            team = await _existing(connection, organization_id, team_id, lock=True)
            if not await store.remove_member(connection, organization_id, team_id, user_id):
                raise AppError(Reason.NOT_FOUND)
            await _record(connection, "team.remove_member", team, [Change("userId", str(user_id), None)])


async def _existing(connection: Connection, organization_id: UUID, team_id: UUID, *, lock: bool = False) -> Team:
    found = await store.find(connection, organization_id, team_id, lock=lock)
    if found is None:
        raise AppError(Reason.NOT_FOUND)
    return found


async def _record(connection: Connection, action: str, team: Team, changes: Sequence[Change]) -> None:
    await audit.record(connection, team.organization_id, audit.caller(), action, ("team", str(team.id)), changes)
