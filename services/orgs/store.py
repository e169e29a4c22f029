"""Organisations in Postgres: all SQL of the service."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from services.kit.postgres.pool import Database
from services.orgs.domain import Organization

_COLUMNS = "organization_id, name, is_default, create_time"


class OrganizationStore:
    """Each organisation sees itself; only the default one can be found without knowing its id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, organization_id: UUID) -> Organization | None:
        """Answer an organisation by its id."""
        async with self._database.tenant(organization_id) as connection:
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM orgs.organizations WHERE organization_id = $1",  # noqa: S608
                organization_id,
            )
        return _organization(row) if row else None

    async def find_default(self) -> Organization | None:
        """Answer the default organisation."""
        async with self._database.queue() as connection:
            row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM orgs.organizations WHERE is_default")  # noqa: S608
        return _organization(row) if row else None

    async def insert_default(self, organization_id: UUID, name: str) -> None:
        """Store the default organisation, unless there is one already."""
        async with self._database.tenant(organization_id) as connection:
            await connection.execute(
                "INSERT INTO orgs.organizations (organization_id, name, is_default) VALUES ($1, $2, true) "
                "ON CONFLICT (is_default) WHERE is_default DO NOTHING",
                organization_id,
                name,
            )


def _organization(row: Mapping[str, Any]) -> Organization:
    return Organization(row["organization_id"], row["name"], row["is_default"], row["create_time"])
