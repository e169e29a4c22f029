"""Organisations in Postgres."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from services.kit.postgres.pool import Connection
from services.orgs.domain import Organization

_COLUMNS = "organization_id, name, is_default, create_time"


async def find(connection: Connection, organization_id: UUID) -> Organization | None:
    """Answer an organisation by its id."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM orgs.organizations WHERE organization_id = $1",  # noqa: S608
        organization_id,
    )
    return _organization(row) if row else None


async def find_default(connection: Connection) -> Organization | None:
    """Answer the default organisation; needs a transaction of the queue role."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM orgs.organizations WHERE is_default")  # noqa: S608
    return _organization(row) if row else None


async def insert(connection: Connection, organization_id: UUID, name: str, *, is_default: bool = False) -> None:
    """Store an organisation, unless it would be a second default one."""
    await connection.execute(
        "INSERT INTO orgs.organizations (organization_id, name, is_default) VALUES ($1, $2, $3) "
        "ON CONFLICT (is_default) WHERE is_default DO NOTHING",
        organization_id,
        name,
        is_default,
    )


async def rename(connection: Connection, organization_id: UUID, name: str) -> None:
    """Give an organisation another name."""
    await connection.execute(
        "UPDATE orgs.organizations SET name = $2 WHERE organization_id = $1", organization_id, name
    )


async def one_at_a_time(connection: Connection) -> None:
    """Have registrations wait for each other, so that two can't both be the first."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('orgs.registration', 0))")


def _organization(row: Mapping[str, Any]) -> Organization:
    return Organization(row["organization_id"], row["name"], row["is_default"], row["create_time"])
