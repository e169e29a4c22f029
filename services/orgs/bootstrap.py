"""The default organisation: made once, before anything listens."""

from uuid import UUID

from services.kit.postgres.pool import Database
from services.orgs.organizations import Organizations


async def ensure_default_organization(dsn: str) -> UUID:
    """Answer the id of the default organisation, made if there is none.

    Raises AppError(UNAVAILABLE) if the database does not answer.
    """
    database = Database(dsn, "orgs", max_size=1)
    await database.open()
    try:
        return (await Organizations(database).ensure_default()).id
    finally:
        await database.close()
