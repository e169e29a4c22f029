"""Use cases around parameters: settings of an organisation, without secrets."""

from uuid import UUID

from services.kit.postgres.pool import Database
from services.orgs import parameter_store as store
from services.orgs.domain import Parameter


class Parameters:
    """Parameters of one organisation at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, organization_id: UUID, key: str) -> Parameter | None:
        """Answer a parameter as it is stored; None if it is not set."""
        async with self._database.tenant(organization_id) as connection:
            return await store.find(connection, organization_id, key)
