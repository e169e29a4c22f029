"""Use cases around members: who they are, what they may do, and how they come and go."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.kit import paging
from services.kit.errors import AppError, Reason
from services.kit.postgres import audit
from services.kit.postgres.audit import Actor
from services.kit.postgres.pool import Connection, Database
from services.kit.telemetry import log
from services.orgs import member_store as store
from services.orgs.domain import Member, MemberState, Role

_logger = log.get("members")


class Credentials(Protocol):
    """What auth keeps of a user. Methods raise AppError, and are safe to repeat."""

    async def end_sessions(self, organization_id: UUID, user_id: UUID) -> None:
        """End every session of a user."""

    async def delete(self, organization_id: UUID, user_id: UUID) -> None:
        """Forget password, sessions, API keys and identities of a user."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A member and the repositories they are assigned to."""

    member: Member
    repository_ids: list[str]


class Members:
    """Members of one organisation at a time. Of the removed ones nothing is shown."""

    def __init__(self, database: Database, credentials: Credentials) -> None:
        self._database = database
        self._credentials = credentials

    async def resolve(self, user_id: UUID) -> Resolved:
        """Answer who a user is in whichever organisation they belong to. Raises AppError(NOT_FOUND)."""
        async with self._database.queue() as connection:
            organization_id = await store.find_organization_of(connection, user_id)
        if organization_id is None:
            raise AppError(Reason.NOT_FOUND)
        async with self._database.tenant(organization_id) as connection:
            member = await living(connection, organization_id, user_id)
            return Resolved(member, await store.assigned(connection, organization_id, user_id))

    async def get(self, organization_id: UUID, user_id: UUID) -> Member:
        """Answer a member. Raises AppError(NOT_FOUND)."""
        async with self._database.tenant(organization_id) as connection:
            return await living(connection, organization_id, user_id)

    async def page(self, organization_id: UUID, page_size: int, page_token: str) -> tuple[Sequence[Member], str]:
        """Answer a page of members, oldest first, and the token of the next. Raises AppError(PAGE_TOKEN_INVALID)."""
        size, query = paging.size(page_size), f"orgs.members/{organization_id}"
        cursor = paging.decode(page_token, query) if page_token else None
        after = (datetime.fromisoformat(cursor["time"]), UUID(cursor["id"])) if cursor else None
        async with self._database.tenant(organization_id) as connection:
            found = await store.page(connection, organization_id, after, size + 1)
        if len(found) <= size:
            return found, ""
        last = found[size - 1]
        token = paging.encode({"time": last.create_time.isoformat(), "id": str(last.user_id)}, query)
        return found[:size], token

    async def update(
        self,
        organization_id: UUID,
        user_id: UUID,
        *,
        name: str | None = None,
        role: Role | None = None,
        state: MemberState | None = None,
    ) -> Member:
        """Change what is given of a member and answer it. Raises AppError: NOT_FOUND, LAST_OWNER.

        A member who is disabled, or let in again, has to sign in anew.
        """
        if state is MemberState.ACTIVE:
            # Sessions from before must not come to life again, so those that could not be ended end first.
            member = await self.get(organization_id, user_id)
            if member.state is MemberState.DISABLED:
                await self._credentials.end_sessions(organization_id, user_id)
        async with self._database.tenant(organization_id) as connection:
            before = await locked(connection, organization_id, user_id)
            after = replace(
                before,
                name=before.name if name is None else name,
                role=role or before.role,
                state=state or before.state,
            )
            if after == before:
                return before
            await keep_an_owner(connection, before, after)
            after = await store.update(connection, after)
            await audit.record(
                *(connection, organization_id, audit.caller(), "member.update", ("member", str(user_id))),
                audit.difference(fields(before), fields(after)),
            )
        if after.state is MemberState.DISABLED and before.state is not after.state:
            await self._quietly_end_sessions(organization_id, user_id)
        return after

    async def remove(self, organization_id: UUID, user_id: UUID) -> None:
        """Remove a member and their credentials. Raises AppError: NOT_FOUND, LAST_OWNER, UNAVAILABLE (say it again)."""
        async with self._database.tenant(organization_id) as connection:
            before = await locked(connection, organization_id, user_id, with_removed=True)
            if before.state is MemberState.REMOVED:
                if await store.credentials_are_gone(connection, organization_id, user_id):
                    raise AppError(Reason.NOT_FOUND)
            else:
                await self._remove(connection, before)
        await self._credentials.delete(organization_id, user_id)
        async with self._database.tenant(organization_id) as connection:
            await store.set_credentials_gone(connection, organization_id, user_id)

    async def _remove(self, connection: Connection, before: Member) -> None:
        after = replace(before, state=MemberState.REMOVED)
        await keep_an_owner(connection, before, after)
        await store.remove_from_everything(connection, before.organization_id, before.user_id)
        await store.update(connection, after)
        await audit.record(
            *(connection, before.organization_id, audit.caller(), "member.delete", ("member", str(before.user_id))),
            audit.difference(fields(before), None),
        )

    async def join_by_sso(
        self, organization_id: UUID, user_id: UUID, email: str, name: str, role: Role | None
    ) -> Member:
        """Make a user whom the identity provider vouches for a member, or bring them up to date.

        The last owner stays owner. Raises AppError: NOT_FOUND, EMAIL_TAKEN.
        """
        actor = Actor("user", str(user_id))
        async with self._database.tenant(organization_id) as connection:
            if not await store.lock(connection, organization_id):
                raise AppError(Reason.NOT_FOUND)
            before = await store.find(connection, organization_id, user_id)
            if before is None:
                return await join(connection, actor, organization_id, user_id, email, name, role or Role.CONTRIBUTOR)
            after = replace(before, name=name or before.name, role=role or before.role)
            if before.is_active_owner and not await store.has_other_owner(connection, organization_id, user_id):
                after = replace(after, role=before.role)
            if after != before and before.state is not MemberState.REMOVED:
                after = await store.update(connection, after)
                await audit.record(
                    *(connection, organization_id, actor, "member.update", ("member", str(user_id))),
                    audit.difference(fields(before), fields(after)),
                )
            return after

    async def _quietly_end_sessions(self, organization_id: UUID, user_id: UUID) -> None:
        try:
            await self._credentials.end_sessions(organization_id, user_id)
        except AppError as error:  # they do not work anyway while the member is disabled
            _logger.warning("sessions were not ended", user_id=str(user_id), reason=error.reason.value)


async def join(
    connection: Connection, actor: Actor, organization_id: UUID, user_id: UUID, email: str, name: str, role: Role
) -> Member:
    """Make a user a member, in a transaction that holds the organisation's lock. Raises AppError(EMAIL_TAKEN)."""
    made = await store.insert(connection, organization_id, user_id, email, name, role)
    await audit.record(
        *(connection, organization_id, actor, "member.create", ("member", str(user_id))),
        audit.difference(None, fields(made)),
    )
    return made


async def locked(connection: Connection, organization_id: UUID, user_id: UUID, *, with_removed: bool = False) -> Member:
    """Answer a member while nobody else changes members of the organisation. Raises AppError(NOT_FOUND)."""
    if not await store.lock(connection, organization_id):
        raise AppError(Reason.NOT_FOUND)
    return await living(connection, organization_id, user_id, with_removed=with_removed)


async def keep_an_owner(connection: Connection, before: Member, after: Member) -> None:
    """Raise AppError(LAST_OWNER) if a change would leave the organisation without an active owner."""
    is_one_fewer = before.is_active_owner and not after.is_active_owner
    if is_one_fewer and not await store.has_other_owner(connection, before.organization_id, before.user_id):
        raise AppError(Reason.LAST_OWNER, "Make somebody else an owner first.")


def fields(member: Member) -> dict[str, object]:
    """Answer a member's fields as the audit log names them."""
    return {
        "email": member.email,
        "name": member.name or None,
        "role": member.role.value,
        "state": member.state.value.lower(),
    }


async def living(connection: Connection, organization_id: UUID, user_id: UUID, *, with_removed: bool = False) -> Member:
    """Answer a member who was not removed. Raises AppError(NOT_FOUND)."""
    found = await store.find(connection, organization_id, user_id)
    if found is None or (found.state is MemberState.REMOVED and not with_removed):
        raise AppError(Reason.NOT_FOUND)
    return found
