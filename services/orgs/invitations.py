"""Use cases around invitations: an owner makes one, whoever holds its token accepts it, once."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.kit import paging
from services.kit.errors import AppError, Reason
from services.kit.ids import resource_id
from services.kit.postgres import audit
from services.kit.postgres.audit import Actor
from services.kit.postgres.pool import Connection, Database
from services.orgs import member_store as store
from services.orgs.domain import Invitation, Member, Role, digest
from services.orgs.members import join

LIFETIME = timedelta(days=7)
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Invited:
    """A new invitation, and its token: this is the only time it is known."""

    invitation: Invitation
    token: str


def utc_now() -> datetime:
    """Answer the time."""
    return datetime.now(UTC)


class Invitations:
    """Invitations of one organisation at a time. Time and randomness are given, so that tests can choose them."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], datetime] = utc_now,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._now = now
        self._random = random

    async def invite(
        self, organization_id: UUID, email: str, role: Role, repository_ids: Sequence[str] = ()
    ) -> Invited:
        """Invite somebody, in place of an open invitation of their e-mail. Raises AppError: NOT_FOUND, EMAIL_TAKEN."""
        actor, now = audit.caller(), self._now()
        token = self._random(TOKEN_BYTES).hex()
        made = Invitation(
            organization_id=organization_id,
            id=resource_id(),
            email=email,
            role=role,
            repository_ids=tuple(sorted(set(repository_ids))),
            inviter=f"{actor.kind}:{actor.id}",
            create_time=now,
            expire_time=now + LIFETIME,
        )
        async with self._database.tenant(organization_id) as connection:
            if not await store.lock(connection, organization_id):
                raise AppError(Reason.NOT_FOUND)
            if await store.find_by_email(connection, organization_id, email):
                raise AppError(Reason.EMAIL_TAKEN, "A member of this organisation has this e-mail.")
            await store.put_invitation(connection, made, digest(token))
            await _record(connection, actor, "invitation.create", made)
        return Invited(made, token)

    async def page(self, organization_id: UUID, page_size: int, page_token: str) -> tuple[Sequence[Invitation], str]:
        """Answer a page of open invitations, newest first. Raises AppError(PAGE_TOKEN_INVALID)."""
        size, query = paging.size(page_size), f"orgs.invitations/{organization_id}"
        before = UUID(paging.decode(page_token, query)["before"]) if page_token else None
        async with self._database.tenant(organization_id) as connection:
            found = await store.open_invitations(connection, organization_id, before, size + 1)
        token = paging.encode({"before": str(found[size - 1].id)}, query) if len(found) > size else ""
        return found[:size], token

    async def get(self, organization_id: UUID, invitation_id: UUID) -> Invitation:
        """Answer an invitation. Raises AppError(NOT_FOUND)."""
        async with self._database.tenant(organization_id) as connection:
            found = await store.invitation(connection, organization_id, invitation_id)
        if found is None:
            raise AppError(Reason.NOT_FOUND)
        return found

    async def withdraw(self, organization_id: UUID, invitation_id: UUID) -> None:
        """End an open invitation. Raises AppError(NOT_FOUND)."""
        async with self._database.tenant(organization_id) as connection:
            gone = await store.delete_invitation(connection, organization_id, invitation_id)
            if gone is None:
                raise AppError(Reason.NOT_FOUND)
            await _record(connection, audit.caller(), "invitation.delete", gone)

    async def find(self, token_sha256: bytes) -> Invitation:
        """Answer the invitation of a token that can still be accepted. Raises AppError(INVITATION_INVALID)."""
        async with self._database.tenant(await self._organization(token_sha256)) as connection:
            found = await store.invitation_by_token(connection, token_sha256)
        if found is None or found.accept_user_id is not None or found.expire_time <= self._now():
            raise AppError(Reason.INVITATION_INVALID)
        return found

    async def accept(self, token_sha256: bytes, user_id: UUID, name: str) -> Member:
        """Make a user the member that an invitation is for, and use it up; safe to repeat for the same user.

        Raises AppError: INVITATION_INVALID, or EMAIL_TAKEN if its e-mail has become somebody else's.
        """
        organization_id = await self._organization(token_sha256)
        async with self._database.tenant(organization_id) as connection:
            await store.lock(connection, organization_id)
            found = await store.invitation_by_token(connection, token_sha256, lock=True)
            if found is not None and found.accept_user_id == user_id:
                member = await store.find(connection, organization_id, user_id)
                assert member is not None, "a member's row stays when they are removed"
                return member
            if found is None or found.accept_user_id is not None or found.expire_time <= self._now():
                raise AppError(Reason.INVITATION_INVALID)
            actor = Actor("user", str(user_id))
            member = await join(connection, actor, organization_id, user_id, found.email, name, found.role)
            await store.assign(connection, organization_id, user_id, found.repository_ids)
            await store.accept_invitation(connection, found, user_id)
            await _record(connection, actor, "invitation.accept", found)
        return member

    async def _organization(self, token_sha256: bytes) -> UUID:
        async with self._database.queue() as connection:
            found = await store.find_organization_inviting(connection, token_sha256)
        if found is None:
            raise AppError(Reason.INVITATION_INVALID)
        return found


async def _record(connection: Connection, actor: Actor, action: str, invitation: Invitation) -> None:
    said = {
        "email": invitation.email,
        "role": invitation.role.value,
        "repositoryIds": list(invitation.repository_ids) or None,
    }
    ends = action == "invitation.delete"
    await audit.record(
        *(connection, invitation.organization_id, actor, action, ("invitation", str(invitation.id))),
        audit.difference(said if ends else None, None if ends else said),
    )
