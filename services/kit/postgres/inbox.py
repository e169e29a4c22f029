"""The way in: an envelope is stored once under its id, and everything else happens from the stored row."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID, uuid5

from services.kit.bus.port import Accept, Envelope, Reject
from services.kit.postgres.pool import Database

NOBODY = UUID(int=0)  # the organisation of what can't be read
_UNREADABLE = UUID("5b3f6c1e-8a52-4c0e-9d0b-5f1f7a3c9e11")  # the name space of their ids: the same bytes are one row
_LONGEST = 1 << 20  # bytes of it that are kept


def rejecter(database: Database, schema: str) -> Reject:
    """Answer what a bus calls with what it can't read, before it drops it: operators see rows only."""

    async def reject(queue: str, data: bytes, reason: str) -> None:
        async with database.queue() as connection:
            await connection.execute(
                f"INSERT INTO {schema}.inbox (id, organization_id, topic, envelope, state, reason, handle_time) "
                "VALUES ($1, $2, $3, $4, 'DEAD', $5, clock_timestamp()) ON CONFLICT (id) DO NOTHING",
                uuid5(_UNREADABLE, sha256(data).hexdigest()),
                NOBODY,
                queue,
                data[:_LONGEST],
                reason,
            )

    return reject


def acceptor(database: Database, schema: str) -> Accept:
    """Answer what a bus calls with envelopes: it returns once they are committed; known ids are passed over."""

    async def accept(envelopes: Sequence[Envelope]) -> None:
        async with database.queue() as connection:
            await connection.executemany(
                f"INSERT INTO {schema}.inbox (id, organization_id, topic, envelope) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (id) DO NOTHING",
                # In one order everywhere, so that two batches with the same envelopes wait for each other once.
                [(e.id, e.organization_id, e.topic, e.data) for e in sorted(envelopes, key=lambda e: e.id)],
            )
            await connection.execute(f"NOTIFY {schema}_inbox")

    return accept


async def find_missing(database: Database, schema: str, ids: Sequence[UUID]) -> list[UUID]:
    """Answer which of `ids` the inbox does not hold."""
    async with database.queue() as connection:
        rows = await connection.fetch(
            f"SELECT id FROM unnest($1::uuid[]) AS asked(id) "
            f"WHERE NOT EXISTS (SELECT FROM {schema}.inbox WHERE inbox.id = asked.id)",
            list(ids),
        )
    return [row["id"] for row in rows]
