"""The way in: an envelope is stored once under its id, and everything else happens from the stored row."""

from collections.abc import Sequence
from uuid import UUID

from services.kit.bus.port import Accept, Envelope
from services.kit.postgres.pool import Database


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
