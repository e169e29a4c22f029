"""The key of the installation itself: made once, before anything listens."""

from uuid import UUID

from services.auth.api_keys import ApiKeys
from services.auth.store import ApiKeyStore
from services.kit.postgres.pool import Database


async def ensure_local_key(dsn: str, organization_id: UUID, *, rotate: bool = False) -> str | None:
    """Answer the local API key (role owner) if it was made just now; None if there is one, unless `rotate` ends it.

    Raises AppError(UNAVAILABLE) if the database does not answer.
    """
    database = Database(dsn, "auth", max_size=1)
    await database.open()
    try:
        return await ApiKeys(ApiKeyStore(database)).ensure_local(organization_id, rotate=rotate)
    finally:
        await database.close()
