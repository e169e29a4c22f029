"""Counts of attempts in Postgres."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.auth.domain import NOBODY
from services.kit.postgres.pool import Connection, Database

_FORGOTTEN_AT_ONCE = 20  # rows that one attempt may sweep away


@dataclass(frozen=True, slots=True)
class Count:
    """What is counted, of whom, and how many attempts are free."""

    kind: str
    key_sha256: bytes
    free: int


class ThrottleStore:
    """Two attempts at once are counted one after the other, by the row's lock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(
        self, counts: Sequence[Count], now: datetime, since: datetime, first: timedelta, longest: timedelta
    ) -> datetime | None:
        """Count an attempt everywhere, or nowhere and answer until when one of them is blocked."""
        async with self._database.tenant(NOBODY) as connection:
            for count in counts:
                until = await self._locked(connection, count, now)
                if until is not None:
                    return until
            for count in counts:
                await self._add(connection, count, now, since, first, longest)
            await connection.execute(
                "DELETE FROM auth.throttles WHERE ctid = ANY(ARRAY(SELECT ctid FROM auth.throttles "
                "WHERE last_time < $1 AND (blocked_until IS NULL OR blocked_until < $1) "
                "ORDER BY last_time LIMIT $2 FOR UPDATE SKIP LOCKED))",
                since,
                _FORGOTTEN_AT_ONCE,
            )
        return None

    async def forgive(self, *, forget: Sequence[Count], take_back: Sequence[Count]) -> None:
        """Forget some counts, and take one attempt back from others."""
        async with self._database.tenant(NOBODY) as connection:
            for count in forget:
                await connection.execute(f"DELETE FROM auth.throttles {_THIS}", count.kind, count.key_sha256)  # noqa: S608
            for count in take_back:
                # A wait that earlier failures made stays, or one good account would unlock guessing at all others.
                await connection.execute(
                    "UPDATE auth.throttles SET attempts = greatest(attempts - 1, 0), "  # noqa: S608
                    f"blocked_until = CASE WHEN attempts > $3 THEN blocked_until END {_THIS}",
                    count.kind,
                    count.key_sha256,
                    count.free,
                )

    async def _locked(self, connection: Connection, count: Count, now: datetime) -> datetime | None:
        await connection.execute(
            "INSERT INTO auth.throttles (kind, key_sha256, attempts, last_time) VALUES ($1, $2, 0, $3) "
            "ON CONFLICT DO NOTHING",
            count.kind,
            count.key_sha256,
            now,
        )
        until: datetime | None = await connection.fetchval(
            f"SELECT blocked_until FROM auth.throttles {_THIS} FOR UPDATE",  # noqa: S608
            count.kind,
            count.key_sha256,
        )
        return until if until is not None and until > now else None

    async def _add(
        self,
        connection: Connection,
        count: Count,
        now: datetime,
        since: datetime,
        first: timedelta,
        longest: timedelta,
    ) -> None:
        attempts: int = await connection.fetchval(
            "UPDATE auth.throttles SET last_time = $3, "  # noqa: S608
            f"attempts = CASE WHEN last_time < $4 THEN 1 ELSE attempts + 1 END {_THIS} RETURNING attempts",
            count.kind,
            count.key_sha256,
            now,
            since,
        )
        beyond = attempts - count.free
        wait = min(first * 2 ** min(beyond, 16), longest) if beyond >= 0 else None
        await connection.execute(
            f"UPDATE auth.throttles SET blocked_until = $3 {_THIS}",  # noqa: S608
            count.kind,
            count.key_sha256,
            now + wait if wait is not None else None,
        )


_THIS = "WHERE kind = $1 AND key_sha256 = $2"
