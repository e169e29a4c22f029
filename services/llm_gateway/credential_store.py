"""Keys of model providers in Postgres, encrypted: all SQL about them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.kit.postgres.pool import Database
from services.llm_gateway.accounting import Credential

_COLUMNS = "id, organization_id, provider, origin, ciphertext, mask"


class CredentialStore:
    """Each organisation has its own keys; only rotation sees those of all, and nothing of them but the ciphertext."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, organization_id: UUID, ids: Collection[UUID]) -> dict[UUID, Credential]:
        """Answer the keys that there are among these."""
        async with self._database.tenant(organization_id) as connection:
            rows = await connection.fetch(
                f"SELECT {_COLUMNS} FROM llm_gateway.credentials WHERE id = ANY($1)",  # noqa: S608
                list(ids),
            )
        return {row["id"]: _credential(row) for row in rows}

    async def any_used(self) -> bool:
        """Tell whether the configuration of any organisation names a key. Raises AppError(UNAVAILABLE)."""
        async with self._database.queue() as connection:
            found: bool = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM llm_gateway.credentials WHERE unused_since IS NULL)"
            )
        return found

    async def replace(self, organization_id: UUID, new: Sequence[Credential], used: Collection[UUID]) -> None:
        """Store new keys, and remove those that no configuration has named for a day.

        Not at once: the configuration that names the others may still fail to be stored.
        """
        async with self._database.tenant(organization_id) as connection:
            await connection.executemany(
                "INSERT INTO llm_gateway.credentials (organization_id, id, provider, origin, ciphertext, mask) "
                "VALUES ($1, $2, $3, $4, $5, $6)",
                [(organization_id, c.id, c.provider, c.origin, c.ciphertext, c.mask) for c in new],
            )
            await connection.execute(
                "UPDATE llm_gateway.credentials SET unused_since = CASE WHEN id = ANY($1) THEN NULL "
                "ELSE coalesce(unused_since, clock_timestamp()) END",
                list(used),
            )
            await connection.execute(
                "DELETE FROM llm_gateway.credentials WHERE unused_since < clock_timestamp() - interval '1 day'"
            )

    async def after(self, position: tuple[UUID, UUID] | None, limit: int) -> list[Credential]:
        """Answer the keys of all organisations that follow a position, in order."""
        organization_id, key_id = position or (UUID(int=0), UUID(int=0))
        async with self._database.queue() as connection:
            rows = await connection.fetch(
                f"SELECT {_COLUMNS} FROM llm_gateway.credentials WHERE (organization_id, id) > ($1, $2) "  # noqa: S608
                "ORDER BY organization_id, id LIMIT $3",
                organization_id,
                key_id,
                limit,
            )
        return [_credential(row) for row in rows]

    async def rewrite(self, credential: Credential, ciphertext: str) -> bool:
        """Put another ciphertext in the place of the one that was read; False where it is no longer that one."""
        async with self._database.queue() as connection:
            done = await connection.execute(
                "UPDATE llm_gateway.credentials SET ciphertext = $3 "
                "WHERE organization_id = $1 AND id = $2 AND ciphertext = $4",
                credential.organization_id,
                credential.id,
                ciphertext,
                credential.ciphertext,
            )
        return bool(done.endswith(" 1"))


def _credential(row: Mapping[str, Any]) -> Credential:
    return Credential(row["id"], row["organization_id"], row["provider"], row["origin"], row["ciphertext"], row["mask"])
