"""The way out: a row written in the transaction of its cause, sent by a relay, closed when the receiver has it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

from services.kit.bus.port import Bus, Envelope
from services.kit.errors import AppError
from services.kit.postgres.pool import Connection, Database
from services.kit.retries import OUTBOX_AWAY, OUTBOX_UNSENT
from services.kit.telemetry import log, metrics

BATCH = 100
ASK_BATCH = 1000
ASK_AFTER = timedelta(seconds=5)  # what was sent less long ago may be on its way
_logger = log.get("outbox")

FindMissing = Callable[[Sequence[UUID]], Awaitable[set[UUID]]]  # which envelopes the receiver does not have


async def append(connection: Connection, schema: str, envelope: Envelope) -> None:
    """Add an envelope in the caller's transaction, unless it is there, and wake the relays when that commits."""
    await connection.execute(
        f"INSERT INTO {schema}.outbox (id, organization_id, topic, envelope) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (id) DO NOTHING",
        envelope.id,
        envelope.organization_id,
        envelope.topic,
        envelope.data,
    )
    await connection.execute(f"NOTIFY {schema}_outbox")


class Relay:
    """Moves a service's outbox to the bus. Any number may run: they share the rows, and order is nobody's promise."""

    def __init__(self, database: Database, schema: str, bus: Bus, find_missing: FindMissing) -> None:
        self._database = database
        self._schema = schema
        self._bus = bus
        self._find_missing = find_missing

    async def send(self) -> bool:
        """Send a batch; True if there may be more. Rows that are not confirmed wait longer with each attempt."""
        async with self._database.queue() as connection:
            rows = await connection.fetch(
                f"SELECT id, organization_id, topic, envelope, attempts FROM {self._schema}.outbox "
                "WHERE sent_time IS NULL AND available_at <= clock_timestamp() "
                "ORDER BY available_at LIMIT $1 FOR UPDATE SKIP LOCKED",
                BATCH,
            )
            if not rows:
                return False
            envelopes = [Envelope(r["id"], r["organization_id"], r["topic"], r["envelope"]) for r in rows]
            confirmed: list[UUID] = []
            retry = OUTBOX_UNSENT
            try:
                answered = set(await self._bus.publish(envelopes))
                confirmed = [e.id for e in envelopes if e.id in answered]  # a bus may answer what it was not asked
            except AppError as error:
                retry = OUTBOX_AWAY
                _logger.warning("bus refused", topic=envelopes[0].topic, message=error.message)
            await connection.execute(
                f"UPDATE {self._schema}.outbox SET sent_time = clock_timestamp() WHERE id = ANY($1)",
                confirmed,
            )
            late = [r["id"] for r in rows if r["id"] not in set(confirmed)]
            await connection.execute(
                f"UPDATE {self._schema}.outbox SET attempts = attempts + 1, available_at = clock_timestamp() "
                "+ least($2::interval * power(2, least(attempts, 10)), $3) * (0.75 + random() / 2) WHERE id = ANY($1)",
                late,
                retry.first,
                retry.longest,
            )
            metrics.OUTBOX_SENT.inc(len(confirmed))
            metrics.RELAY_BATCHES.labels("partly" if late and confirmed else "refused" if late else "sent").inc()
            metrics.RETRIES.labels("outbox row", retry.failure).inc(len(late))
            return len(rows) == BATCH and not late

    async def close_received(self) -> bool:
        """Ask the receiver about envelopes sent a while ago: delete what it has, send the rest again."""
        async with self._database.queue() as connection:
            rows = await connection.fetch(
                f"SELECT id FROM {self._schema}.outbox WHERE sent_time < clock_timestamp() - $2::interval "
                "ORDER BY sent_time LIMIT $1 FOR UPDATE SKIP LOCKED",
                ASK_BATCH,
                ASK_AFTER,
            )
            ids = [row["id"] for row in rows]
            if not ids:
                return False
            missing = await self._find_missing(ids) & set(ids)
            await connection.execute(
                f"DELETE FROM {self._schema}.outbox WHERE id = ANY($1)",
                [i for i in ids if i not in missing],
            )
            await connection.execute(
                f"UPDATE {self._schema}.outbox SET sent_time = NULL, available_at = clock_timestamp() "
                "WHERE id = ANY($1)",
                list(missing),
            )
            metrics.OUTBOX_RESENT.inc(len(missing))
            metrics.RETRIES.labels("outbox row", "lost").inc(len(missing))
            return len(rows) == ASK_BATCH
