"""Use cases around organisations."""

from uuid import UUID

from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from services.kit.postgres import audit
from services.kit.postgres.audit import Actor, Change
from services.kit.postgres.pool import Connection, Database
from services.orgs import member_store, store
from services.orgs.domain import DEFAULT_NAME, Organization, Role
from services.orgs.members import join


class Organizations:
    """Organisations, each seen by its own callers only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organization_id: UUID) -> Organization:
        """Answer an organisation. Raises AppError(NOT_FOUND)."""
        async with self._database.tenant(organization_id) as connection:
            return await _existing(connection, organization_id)

    async def rename(self, organization_id: UUID, name: str) -> Organization:
        """Give an organisation another name and answer it. Raises AppError(NOT_FOUND)."""
        async with self._database.tenant(organization_id) as connection:
            if not await member_store.lock(connection, organization_id):
                raise AppError(Reason.NOT_FOUND)
            before = await _existing(connection, organization_id)
            if name != before.name:
                await store.rename(connection, organization_id, name)
                await audit.record(
                    *(connection, organization_id, audit.caller(), "organization.update"),
                    ("organization", str(organization_id)),
                    [Change("name", before.name, name)],
                )
            return await _existing(connection, organization_id)

    async def ensure_default(self) -> Organization:
        """Answer the default organisation, made if there is none; its id never changes after that."""
        found = await self._find_default()
        if found is None:
            made = new_id()
            async with self._database.tenant(made) as connection:
                await store.insert(connection, made, DEFAULT_NAME, is_default=True)
            # Read again: another process may have been faster, and its organisation is the one.
            found = await self._find_default()
        if found is None:
            raise AppError(Reason.INTERNAL, "the default organisation was not stored")
        return found

    async def create_with_owner(
        self, user_id: UUID, email: str, name: str, organization_name: str, *, is_open: bool
    ) -> UUID:
        """Make a user an owner and answer of which organisation: the default one's first, else one of their own.

        Safe to repeat for a user. Raises AppError: REGISTRATION_CLOSED after the first unless `is_open`, EMAIL_TAKEN.
        """
        async with self._database.queue() as connection:
            known = await member_store.find_organization_of(connection, user_id)
        if known is not None:
            return known
        default = await self.ensure_default()
        async with self._database.tenant(default.id) as connection:
            await store.one_at_a_time(connection)
            if not await member_store.has_members(connection, default.id):
                await self._take_over(connection, default, user_id, email, name, organization_name)
                return default.id
        if not is_open:
            raise AppError(Reason.REGISTRATION_CLOSED)
        return await self._create(user_id, email, name, organization_name)

    async def _take_over(
        self, connection: Connection, default: Organization, user_id: UUID, email: str, name: str, called: str
    ) -> None:
        actor = Actor("user", str(user_id))
        await member_store.lock(connection, default.id)
        await join(connection, actor, default.id, user_id, email, name, Role.OWNER)
        if called and called != default.name:
            await store.rename(connection, default.id, called)
            await audit.record(
                *(connection, default.id, actor, "organization.update", ("organization", str(default.id))),
                [Change("name", default.name, called)],
            )

    async def _create(self, user_id: UUID, email: str, name: str, organization_name: str) -> UUID:
        made, actor = new_id(), Actor("user", str(user_id))
        called = organization_name or name or email.partition("@")[0]
        async with self._database.tenant(made) as connection:
            await store.insert(connection, made, called)
            await join(connection, actor, made, user_id, email, name, Role.OWNER)
            await audit.record(
                *(connection, made, actor, "organization.create", ("organization", str(made))),
                [Change("name", None, called)],
            )
        return made

    async def _find_default(self) -> Organization | None:
        async with self._database.queue() as connection:
            return await store.find_default(connection)


async def _existing(connection: Connection, organization_id: UUID) -> Organization:
    found = await store.find(connection, organization_id)
    if found is None:
        raise AppError(Reason.NOT_FOUND)
    return found
