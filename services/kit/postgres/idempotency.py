"""The records behind `Idempotency-Key`: digests and the id of what was made, for 24 hours; no request and no answer."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from uuid import UUID

from services.kit.postgres.pool import Connection, Database

KEPT = timedelta(hours=24)  # contract, section 4
_FORGOTTEN_AT_ONCE = 100  # rows that one new key may sweep away


class Turn(Enum):
    """What a caller that brings a key finds."""

    FIRST = auto()  # nobody has brought it: do the work
    AGAIN = auto()  # somebody began and did not come to an end: look whether it is there, else do the work
    DONE = auto()  # answer again
    BUSY = auto()  # somebody is at it now
    MISUSED = auto()  # the key was brought with another request


@dataclass(frozen=True, slots=True)
class Key:
    """Whose key for which RPC, and the digests of the key and of the request."""

    organization_id: UUID
    caller: str
    method: str
    key_sha256: bytes
    request_sha256: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """What a key means now. `resource_id` is allotted to whatever is made, `answered_id` was in the first answer."""

    turn: Turn
    resource_id: UUID
    answered_id: str = ""


class IdempotencyKeys:
    """The table of one service. Raises AppError(UNAVAILABLE) where the database does not answer."""

    def __init__(self, database: Database, service: str) -> None:
        self._database = database
        self._table = f"{service}.idempotency_keys"

    async def take(self, key: Key, resource_id: UUID, busy: timedelta) -> Found:
        """Bring a key: the first to do so has `busy` to come to an end, and is allotted `resource_id`."""
        async with self._database.tenant(key.organization_id) as connection:
            await self._forget(connection)
            row = await connection.fetchrow(
                f"INSERT INTO {self._table} (organization_id, caller, method, key_sha256, request_sha256, resource_id, "
                "running_until) VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7) "
                "ON CONFLICT DO NOTHING RETURNING resource_id",
                *_names(key),
                key.request_sha256,
                resource_id,
                busy,
            )
            if row is not None:
                return Found(Turn.FIRST, row["resource_id"])
            return await self._known(connection, key, resource_id, busy)

    async def finish(self, key: Key, answered_id: str) -> None:
        """Say that the work is done and which id was answered."""
        async with self._database.tenant(key.organization_id) as connection:
            await connection.execute(
                f"UPDATE {self._table} SET is_done = true, answered_id = $5 WHERE {_THIS}",
                *_names(key),
                answered_id,
            )

    async def give_up(self, key: Key, *, is_in_doubt: bool) -> None:
        """Say that the work failed: forget the key, or where something may have been made, let the next one look."""
        change = f"UPDATE {self._table} SET running_until = clock_timestamp()" if is_in_doubt else self._delete
        async with self._database.tenant(key.organization_id) as connection:
            await connection.execute(f"{change} WHERE {_THIS} AND NOT is_done", *_names(key))

    @property
    def _delete(self) -> str:
        return f"DELETE FROM {self._table}"

    async def _known(self, connection: Connection, key: Key, unused_id: UUID, busy: timedelta) -> Found:
        row = await connection.fetchrow(
            f"SELECT *, running_until > clock_timestamp() AS is_running FROM {self._table} WHERE {_THIS} FOR UPDATE",
            *_names(key),
        )
        if row is None:  # it failed and was forgotten between the two statements
            return Found(Turn.BUSY, unused_id)
        if row["request_sha256"] != key.request_sha256:
            return Found(Turn.MISUSED, row["resource_id"])
        if row["is_done"]:
            return Found(Turn.DONE, row["resource_id"], row["answered_id"])
        if row["is_running"]:
            return Found(Turn.BUSY, row["resource_id"])
        await connection.execute(
            f"UPDATE {self._table} SET running_until = clock_timestamp() + $5 WHERE {_THIS}",
            *_names(key),
            busy,
        )
        return Found(Turn.AGAIN, row["resource_id"])

    async def _forget(self, connection: Connection) -> None:
        await connection.execute(
            f"{self._delete} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {self._table} WHERE create_time < "
            "clock_timestamp() - $1::interval ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED))",
            KEPT,
            _FORGOTTEN_AT_ONCE,
        )


_THIS = "organization_id = $1 AND caller = $2 AND method = $3 AND key_sha256 = $4"


def _names(key: Key) -> tuple[UUID, str, str, bytes]:
    return key.organization_id, key.caller, key.method, key.key_sha256
