"""Whether webhooks arrive: per host and repository, when one last did and what goes wrong."""

from uuid import UUID

from services.kit import paging
from services.kit.postgres.pool import Database, Row
from services.webhooks import repository_store as store

_NAMES = ("host", "repository", "connection_id", "repository_id")


class WebhookHealth:
    """The use case behind GetWebhookHealth."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, organization_id: UUID, page_size: int, page_token: str) -> tuple[list[Row], str]:
        """Answer a page of repositories by host and name, and where the next one begins."""
        size = paging.size(page_size)
        query = f"webhook health\0{organization_id}"
        cursor = paging.decode(page_token, query) if page_token else dict.fromkeys(_NAMES, "")
        first, second, third, fourth = (cursor[name] for name in _NAMES)
        async with self._database.tenant(organization_id) as connection:
            rows = await store.health(connection, (first, second, third, fourth), size + 1)
        more = paging.encode({name: rows[size - 1][name] for name in _NAMES}, query) if len(rows) > size else ""
        return rows[:size], more
