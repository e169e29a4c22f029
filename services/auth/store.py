"""API keys in Postgres."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.auth.domain import ApiKey, Owner
from services.kit.postgres import audit
from services.kit.postgres.pool import Database

_COLUMNS = "id, organization_id, user_id, name, prefix, role, scopes, create_time, expire_time"

_INSERT = """
INSERT INTO auth.api_keys
    (id, organization_id, user_id, name, prefix, key_sha256, role, scopes, create_time, expire_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of keys begins: after this one."""

    create_time: datetime
    id: UUID


class ApiKeyStore:
    """Keys of one organisation at a time, and the look-up that finds out whose a key is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, key: ApiKey, key_sha256: bytes, actor: audit.Actor) -> None:
        """Store a new key."""
        organization_id = key.owner.organization_id
        async with self._database.tenant(organization_id) as connection:
            await connection.execute(_INSERT, *_values(key, key_sha256))
            shown = {"name": key.name, "prefix": key.prefix, "scopes": ", ".join(key.scopes)}
            changes = audit.difference(None, shown | {"expireTime": key.expire_time})
            await audit.record(connection, organization_id, actor, "api_key.create", ("api_key", str(key.id)), changes)

    async def page(self, owner: Owner, after: Position | None, limit: int) -> Sequence[ApiKey]:
        """Answer at most `limit` keys of an owner that were not deleted, newest first."""
        async with self._database.tenant(owner.organization_id) as connection:
            rows = await connection.fetch(
                f"SELECT {_COLUMNS} FROM auth.api_keys "  # noqa: S608
                "WHERE organization_id = $1 AND user_id IS NOT DISTINCT FROM $2 AND delete_time IS NULL "
                "AND ($3::timestamptz IS NULL OR (create_time, id) < ($3, $4::uuid)) "
                "ORDER BY create_time DESC, id DESC LIMIT $5",
                owner.organization_id,
                owner.user_id,
                after.create_time if after else None,
                after.id if after else None,
                limit,
            )
        return [_key(row) for row in rows]

    async def delete(self, owner: Owner, key_id: UUID, now: datetime, actor: audit.Actor) -> bool:
        """End a key; False if the owner has none of that id."""
        async with self._database.tenant(owner.organization_id) as connection:
            status = await connection.execute(
                "UPDATE auth.api_keys SET delete_time = $4 WHERE organization_id = $1 "
                "AND user_id IS NOT DISTINCT FROM $2 AND id = $3 AND delete_time IS NULL",
                owner.organization_id,
                owner.user_id,
                key_id,
                now,
            )
            if status != "UPDATE 1":
                return False
            await audit.record(connection, owner.organization_id, actor, "api_key.delete", ("api_key", str(key_id)))
        return True

    async def delete_all(self, owner: Owner, now: datetime) -> int:
        """End every key of an owner and answer how many there were."""
        async with self._database.tenant(owner.organization_id) as connection:
            status = await connection.execute(
                "UPDATE auth.api_keys SET delete_time = $3 WHERE organization_id = $1 "
                "AND user_id IS NOT DISTINCT FROM $2 AND delete_time IS NULL",
                owner.organization_id,
                owner.user_id,
                now,
            )
        return int(status.split()[-1])

    async def replace_named(self, key: ApiKey, key_sha256: bytes, *, keep_existing: bool) -> bool:
        """Store a key in place of the owner's living ones of its name; False if one is kept instead.

        Two at a time take turns, so that there is one key of the name at the end.
        """
        async with self._database.tenant(key.owner.organization_id) as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"auth.{key.name}")
            living = await connection.fetch(
                "SELECT id FROM auth.api_keys WHERE organization_id = $1 AND user_id IS NOT DISTINCT FROM $2 "
                "AND name = $3 AND delete_time IS NULL AND (expire_time IS NULL OR expire_time > $4)",
                key.owner.organization_id,
                key.owner.user_id,
                key.name,
                key.create_time,
            )
            if living and keep_existing:
                return False
            await connection.execute(
                "UPDATE auth.api_keys SET delete_time = $2 WHERE id = ANY($1)",
                [row["id"] for row in living],
                key.create_time,
            )
            await connection.execute(_INSERT, *_values(key, key_sha256))
        return True

    async def find_living(self, key_sha256: bytes, now: datetime) -> ApiKey | None:
        """Answer the key with this digest, of any organisation, unless it was deleted or has expired."""
        async with self._database.queue() as connection:
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM auth.api_keys WHERE key_sha256 = $1 AND delete_time IS NULL "  # noqa: S608
                "AND (expire_time IS NULL OR expire_time > $2)",
                key_sha256,
                now,
            )
        return _key(row) if row else None


def _values(key: ApiKey, key_sha256: bytes) -> tuple[Any, ...]:
    owner, scopes = key.owner, list(key.scopes)
    return (
        *(key.id, owner.organization_id, owner.user_id, key.name, key.prefix, key_sha256),
        *(key.role, scopes, key.create_time, key.expire_time),
    )


def _key(row: Mapping[str, Any]) -> ApiKey:
    return ApiKey(
        id=row["id"],
        owner=Owner(row["organization_id"], row["user_id"]),
        name=row["name"],
        prefix=row["prefix"],
        role=row["role"],
        scopes=tuple(row["scopes"]),
        create_time=row["create_time"],
        expire_time=row["expire_time"],
    )
