"""SQL of teams."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Connection, Row
from services.orgs.domain import Team

_COLUMNS = "organization_id, id, name, create_time, update_time"


async def insert(connection: Connection, organization_id: UUID, team_id: UUID, name: str) -> Team:
    """Store a new team and answer it. Raises AppError(NAME_TAKEN)."""
    try:
        row = await connection.fetchrow(
            f"INSERT INTO orgs.teams (organization_id, id, name) VALUES ($1, $2, $3) RETURNING {_COLUMNS}",  # noqa: S608
            organization_id,
            team_id,
            name,
        )
    except asyncpg.UniqueViolationError:
        raise _taken() from None
    assert row is not None, "an insert answers its row"
    return _team(row)


async def find(connection: Connection, organization_id: UUID, team_id: UUID, *, lock: bool = False) -> Team | None:
    """Answer a team; with `lock` nobody else changes it meanwhile."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM orgs.teams WHERE organization_id = $1 AND id = $2{' FOR UPDATE' if lock else ''}",  # noqa: S608
        organization_id,
        team_id,
    )
    return _team(row) if row else None


async def page(
    connection: Connection, organization_id: UUID, after: tuple[str, UUID] | None, limit: int
) -> Sequence[Team]:
    """Answer at most `limit` teams by name."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM orgs.teams WHERE organization_id = $1 "  # noqa: S608
        "AND ($2::text IS NULL OR (lower(name), id) > (lower($2), $3::uuid)) ORDER BY lower(name), id LIMIT $4",
        organization_id,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
    return [_team(row) for row in rows]


async def rename(connection: Connection, organization_id: UUID, team_id: UUID, name: str) -> Team:
    """Give a team that is there another name and answer it. Raises AppError(NAME_TAKEN)."""
    try:
        row = await connection.fetchrow(
            "UPDATE orgs.teams SET name = $3, update_time = clock_timestamp() "  # noqa: S608
            f"WHERE organization_id = $1 AND id = $2 RETURNING {_COLUMNS}",
            organization_id,
            team_id,
            name,
        )
    except asyncpg.UniqueViolationError:
        raise _taken() from None
    assert row is not None, "the team was locked in this transaction"
    return _team(row)


async def delete(connection: Connection, organization_id: UUID, team_id: UUID) -> None:
    """Delete a team and who was in it."""
    await connection.execute("DELETE FROM orgs.teams WHERE organization_id = $1 AND id = $2", organization_id, team_id)


async def add_member(connection: Connection, organization_id: UUID, team_id: UUID, user_id: UUID) -> bool:
    """Take a member into a team; False if they are in it."""
    status: str = await connection.execute(
        "INSERT INTO orgs.team_members (organization_id, team_id, user_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        organization_id,
        team_id,
        user_id,
    )
    return status == "INSERT 0 1"


async def remove_member(connection: Connection, organization_id: UUID, team_id: UUID, user_id: UUID) -> bool:
    """Take a member out of a team; False if they are not in it."""
    status: str = await connection.execute(
        "DELETE FROM orgs.team_members WHERE organization_id = $1 AND team_id = $2 AND user_id = $3",
        organization_id,
        team_id,
        user_id,
    )
    return status == "DELETE 1"


async def members(
    connection: Connection, organization_id: UUID, team_id: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row]:
    """Answer at most `limit` members of a team (user_id, email, name, create_time), oldest first."""
    return list(
        await connection.fetch(
            "SELECT t.user_id, m.email, m.name, t.create_time FROM orgs.team_members t "
            "JOIN orgs.members m USING (organization_id, user_id) WHERE t.organization_id = $1 AND t.team_id = $2 "
            "AND ($3::timestamptz IS NULL OR (t.create_time, t.user_id) > ($3, $4::uuid)) "
            "ORDER BY t.create_time, t.user_id LIMIT $5",
            organization_id,
            team_id,
            after[0] if after else None,
            after[1] if after else None,
            limit,
        )
    )


async def member(connection: Connection, organization_id: UUID, team_id: UUID, user_id: UUID) -> Row | None:
    """Answer one member of a team, as `members` does."""
    return await connection.fetchrow(
        "SELECT t.user_id, m.email, m.name, t.create_time FROM orgs.team_members t "
        "JOIN orgs.members m USING (organization_id, user_id) "
        "WHERE t.organization_id = $1 AND t.team_id = $2 AND t.user_id = $3",
        organization_id,
        team_id,
        user_id,
    )


def _taken() -> AppError:
    return AppError(Reason.NAME_TAKEN, "A team of this organisation has this name.")


def _team(row: Mapping[str, Any]) -> Team:
    return Team(row["organization_id"], row["id"], row["name"], row["create_time"], row["update_time"])
