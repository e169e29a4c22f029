"""SQL of members, invitations and repository assignments."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Connection
from services.orgs.domain import Invitation, Member, MemberState, Role

_MEMBER = "organization_id, user_id, email, name, role, state, create_time, update_time"
_INVITATION = (
    "organization_id, id, email, role, repository_ids, inviter, create_time, expire_time, accept_user_id"  # no token
)


async def find_organization_of(connection: Connection, user_id: UUID) -> UUID | None:
    """Answer which organisation a user is or was a member of; needs a transaction of the queue role."""
    found: UUID | None = await connection.fetchval(
        "SELECT organization_id FROM orgs.members WHERE user_id = $1", user_id
    )
    return found


async def find_organization_inviting(connection: Connection, token_sha256: bytes) -> UUID | None:
    """Answer whose invitation a token belongs to; needs a transaction of the queue role."""
    found: UUID | None = await connection.fetchval(
        "SELECT organization_id FROM orgs.invitations WHERE token_sha256 = $1", token_sha256
    )
    return found


async def lock(connection: Connection, organization_id: UUID) -> bool:
    """Have changes of an organisation's members wait for this transaction; False if there is no such organisation."""
    row = await connection.fetchrow(
        "SELECT FROM orgs.organizations WHERE organization_id = $1 FOR UPDATE", organization_id
    )
    return row is not None


async def insert(
    connection: Connection, organization_id: UUID, user_id: UUID, email: str, name: str, role: Role
) -> Member:
    """Store a new member and answer them. Raises AppError(EMAIL_TAKEN)."""
    try:
        row = await connection.fetchrow(
            "INSERT INTO orgs.members (organization_id, user_id, email, name, role) "  # noqa: S608
            f"VALUES ($1, $2, $3, $4, $5) RETURNING {_MEMBER}",
            organization_id,
            user_id,
            email,
            name,
            role.value,
        )
    except asyncpg.UniqueViolationError:
        raise AppError(Reason.EMAIL_TAKEN) from None
    assert row is not None, "an insert answers its row"
    return _member(row)


async def find(connection: Connection, organization_id: UUID, user_id: UUID) -> Member | None:
    """Answer a member, also a removed one."""
    row = await connection.fetchrow(
        f"SELECT {_MEMBER} FROM orgs.members WHERE organization_id = $1 AND user_id = $2",  # noqa: S608
        organization_id,
        user_id,
    )
    return _member(row) if row else None


async def find_by_email(connection: Connection, organization_id: UUID, email: str) -> Member | None:
    """Answer the member with this e-mail, whatever its case."""
    row = await connection.fetchrow(
        f"SELECT {_MEMBER} FROM orgs.members WHERE organization_id = $1 AND lower(email) = lower($2) "  # noqa: S608
        "AND state <> 'REMOVED'",
        organization_id,
        email,
    )
    return _member(row) if row else None


async def page(
    connection: Connection, organization_id: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Member]:
    """Answer at most `limit` members, oldest first, without those removed."""
    rows = await connection.fetch(
        f"SELECT {_MEMBER} FROM orgs.members WHERE organization_id = $1 AND state <> 'REMOVED' "  # noqa: S608
        "AND ($2::timestamptz IS NULL OR (create_time, user_id) > ($2, $3::uuid)) "
        "ORDER BY create_time, user_id LIMIT $4",
        organization_id,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
    return [_member(row) for row in rows]


async def update(connection: Connection, member: Member) -> Member:
    """Store name, role and state of a member and answer it as it is then."""
    row = await connection.fetchrow(
        "UPDATE orgs.members SET name = $3, role = $4, state = $5, update_time = clock_timestamp() "  # noqa: S608
        f"WHERE organization_id = $1 AND user_id = $2 RETURNING {_MEMBER}",
        member.organization_id,
        member.user_id,
        member.name,
        member.role.value,
        member.state.value,
    )
    assert row is not None, "a member is never deleted, and was read in this transaction"
    return _member(row)


async def has_members(connection: Connection, organization_id: UUID) -> bool:
    """Tell whether an organisation ever had a member."""
    query = "SELECT EXISTS (SELECT FROM orgs.members WHERE organization_id = $1)"
    return bool(await connection.fetchval(query, organization_id))


async def has_other_owner(connection: Connection, organization_id: UUID, user_id: UUID) -> bool:
    """Tell whether somebody else is an active owner."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM orgs.members WHERE organization_id = $1 AND user_id <> $2 AND role = 'owner' "
            "AND state = 'ACTIVE')",
            organization_id,
            user_id,
        )
    )


async def credentials_are_gone(connection: Connection, organization_id: UUID, user_id: UUID) -> bool:
    """Tell whether auth has forgotten a removed member."""
    return bool(
        await connection.fetchval(
            "SELECT credentials_gone FROM orgs.members WHERE organization_id = $1 AND user_id = $2",
            organization_id,
            user_id,
        )
    )


async def set_credentials_gone(connection: Connection, organization_id: UUID, user_id: UUID) -> None:
    """Note that auth has forgotten a removed member."""
    await connection.execute(
        "UPDATE orgs.members SET credentials_gone = true WHERE organization_id = $1 AND user_id = $2",
        organization_id,
        user_id,
    )


async def assigned(connection: Connection, organization_id: UUID, user_id: UUID) -> list[str]:
    """Answer the ids of the repositories a member is assigned to, sorted."""
    rows = await connection.fetch(
        "SELECT repository_id FROM orgs.repository_assignments WHERE organization_id = $1 AND user_id = $2 "
        "ORDER BY repository_id",
        organization_id,
        user_id,
    )
    return [row["repository_id"] for row in rows]


async def assign(connection: Connection, organization_id: UUID, user_id: UUID, repository_ids: Iterable[str]) -> None:
    """Assign a member to exactly these repositories."""
    wanted = sorted(set(repository_ids))
    await connection.execute(
        "DELETE FROM orgs.repository_assignments WHERE organization_id = $1 AND user_id = $2 "
        "AND repository_id <> ALL ($3::text[])",
        organization_id,
        user_id,
        wanted,
    )
    await connection.execute(
        "INSERT INTO orgs.repository_assignments (organization_id, user_id, repository_id) "
        "SELECT $1, $2, unnest($3::text[]) ON CONFLICT DO NOTHING",
        organization_id,
        user_id,
        wanted,
    )


async def remove_from_everything(connection: Connection, organization_id: UUID, user_id: UUID) -> None:
    """Take a member who is removed out of teams and assignments."""
    for table in ("team_members", "repository_assignments"):
        await connection.execute(
            f"DELETE FROM orgs.{table} WHERE organization_id = $1 AND user_id = $2",  # noqa: S608
            organization_id,
            user_id,
        )


async def put_invitation(connection: Connection, invitation: Invitation, token_sha256: bytes) -> None:
    """Store an invitation in place of an open one of the same e-mail, whose token ends with it."""
    await connection.execute(
        "DELETE FROM orgs.invitations WHERE organization_id = $1 AND lower(email) = lower($2) AND accept_time IS NULL",
        invitation.organization_id,
        invitation.email,
    )
    await connection.execute(
        "INSERT INTO orgs.invitations (organization_id, id, email, role, repository_ids, token_sha256, inviter, "
        "create_time, expire_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        invitation.organization_id,
        invitation.id,
        invitation.email,
        invitation.role.value,
        list(invitation.repository_ids),
        token_sha256,
        invitation.inviter,
        invitation.create_time,
        invitation.expire_time,
    )


async def invitation_by_token(connection: Connection, token_sha256: bytes, *, lock: bool = False) -> Invitation | None:
    """Answer the invitation that a token belongs to; with `lock` nobody else accepts it meanwhile."""
    row = await connection.fetchrow(
        f"SELECT {_INVITATION} FROM orgs.invitations WHERE token_sha256 = $1{' FOR UPDATE' if lock else ''}",  # noqa: S608
        token_sha256,
    )
    return _invitation(row) if row else None


async def invitation(connection: Connection, organization_id: UUID, invitation_id: UUID) -> Invitation | None:
    """Answer an invitation."""
    row = await connection.fetchrow(
        f"SELECT {_INVITATION} FROM orgs.invitations WHERE organization_id = $1 AND id = $2",  # noqa: S608
        organization_id,
        invitation_id,
    )
    return _invitation(row) if row else None


async def accept_invitation(connection: Connection, invitation: Invitation, user_id: UUID) -> None:
    """Use an invitation up."""
    await connection.execute(
        "UPDATE orgs.invitations SET accept_time = clock_timestamp(), accept_user_id = $3 "
        "WHERE organization_id = $1 AND id = $2",
        invitation.organization_id,
        invitation.id,
        user_id,
    )


async def open_invitations(
    connection: Connection, organization_id: UUID, before: UUID | None, limit: int
) -> Sequence[Invitation]:
    """Answer at most `limit` invitations that nobody has accepted, newest first; expired ones too."""
    rows = await connection.fetch(
        f"SELECT {_INVITATION} FROM orgs.invitations WHERE organization_id = $1 AND accept_time IS NULL "  # noqa: S608
        "AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        organization_id,
        before,
        limit,
    )
    return [_invitation(row) for row in rows]


async def delete_invitation(connection: Connection, organization_id: UUID, invitation_id: UUID) -> Invitation | None:
    """Withdraw an invitation that nobody has accepted and answer it; None if there is none."""
    row = await connection.fetchrow(
        "DELETE FROM orgs.invitations WHERE organization_id = $1 AND id = $2 AND accept_time IS NULL "  # noqa: S608
        f"RETURNING {_INVITATION}",
        organization_id,
        invitation_id,
    )
    return _invitation(row) if row else None


def _member(row: Mapping[str, Any]) -> Member:
    return Member(
        organization_id=row["organization_id"],
        user_id=row["user_id"],
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        state=MemberState(row["state"]),
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


def _invitation(row: Mapping[str, Any]) -> Invitation:
    return Invitation(
        organization_id=row["organization_id"],
        id=row["id"],
        email=row["email"],
        role=Role(row["role"]),
        repository_ids=tuple(row["repository_ids"]),
        inviter=row["inviter"],
        create_time=row["create_time"],
        expire_time=row["expire_time"],
        accept_user_id=row["accept_user_id"],
    )
