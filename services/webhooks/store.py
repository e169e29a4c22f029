"""All SQL about deliveries."""

import json
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from services.kit.ids import new_id
from services.kit.postgres.pool import Connection, Row
from services.kit.postgres.turns import claim_next
from services.kit.retries import DELIVERY_CRASH
from services.webhooks.domain import DeliveryState

CHANNEL = "webhooks_deliveries"
_SHOWN = (
    "SELECT id, host, host_delivery_id, event, state, reason, attempts, octet_length(body) AS body_size, "
    "repository, create_time, update_time FROM webhooks.deliveries "
)
_CLAIM_DELIVERY = claim_next("webhooks.deliveries", "state = 'RECEIVED'")

_MEASURE = (
    "SELECT (SELECT count(*) FROM (SELECT FROM webhooks.deliveries WHERE state = 'RECEIVED' LIMIT $1) d) AS received, "
    "(SELECT count(*) FROM (SELECT FROM webhooks.deliveries WHERE state = 'FAILED' LIMIT $1) d) AS failed, "
    "(SELECT count(*) FROM (SELECT FROM webhooks.outbox WHERE sent_time IS NULL LIMIT $1) o) AS unsent, "
    "(SELECT count(*) FROM (SELECT FROM webhooks.outbox WHERE sent_time IS NOT NULL LIMIT $1) o) AS unconfirmed, "
    "(SELECT extract(epoch FROM greatest(clock_timestamp() - min(available_at), interval '0'))::float8 "
    "FROM webhooks.deliveries WHERE state = 'RECEIVED') AS deliveries_oldest, "
    "(SELECT extract(epoch FROM clock_timestamp() - min(create_time))::float8 "
    "FROM webhooks.outbox WHERE sent_time IS NULL) AS outbox_oldest"
)


async def add_delivery(
    connection: Connection,
    organization_id: UUID,
    host: str,
    connection_id: str,
    host_delivery_id: str,
    event: str,
    headers: Mapping[str, str],
    body: bytes,
    traceparent: str,
) -> UUID | None:
    """Store a delivery, or arm one that failed again; None if it is here and alive."""
    delivery_id: UUID | None = await connection.fetchval(
        "INSERT INTO webhooks.deliveries (id, organization_id, host, connection_id, host_delivery_id, event, headers, "
        "body, traceparent) VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9) "
        "ON CONFLICT (organization_id, host, connection_id, host_delivery_id) DO UPDATE SET state = 'RECEIVED', "
        "reason = '', attempts = 0, event = excluded.event, headers = excluded.headers, body = excluded.body, "
        "traceparent = excluded.traceparent, available_at = clock_timestamp(), update_time = clock_timestamp() "
        "WHERE deliveries.state = 'FAILED' RETURNING id",
        new_id(),
        organization_id,
        host,
        connection_id,
        host_delivery_id,
        event,
        json.dumps(dict(headers)),
        body,
        traceparent,
    )
    if delivery_id is not None:
        await connection.execute(f"NOTIFY {CHANNEL}")
    return delivery_id


async def claim_delivery(connection: Connection) -> Row | None:
    """Take a delivery, counting the attempt; it comes back by itself unless it is settled in time.

    Organisations take turns. `was_claimed` says that somebody took it before and never settled it.
    """
    return await connection.fetchrow(_CLAIM_DELIVERY, DELIVERY_CRASH.longest)


async def settle_delivery(
    connection: Connection, delivery_id: UUID, attempts: int, state: DeliveryState, reason: str, repository: str = ""
) -> bool:
    """Say what became of a claimed delivery; False if it has been claimed again since, and nothing was written."""
    done: str = await connection.execute(
        "UPDATE webhooks.deliveries SET state = $3, reason = $4, repository = $5, is_claimed = false, "
        "update_time = clock_timestamp() "
        "WHERE id = $1 AND attempts = $2 AND state = 'RECEIVED'",
        delivery_id,
        attempts,
        state.value,
        reason,
        repository,
    )
    return done == "UPDATE 1"


async def rearm_delivery(connection: Connection, delivery_id: UUID) -> None:
    """Have a delivery handled again from its stored body."""
    await connection.execute(
        "UPDATE webhooks.deliveries SET state = 'RECEIVED', reason = '', attempts = 0, is_claimed = false, "
        "available_at = clock_timestamp(), update_time = clock_timestamp() WHERE id = $1",
        delivery_id,
    )
    await connection.execute(f"NOTIFY {CHANNEL}")


async def lock_delivery(connection: Connection, delivery_id: UUID) -> Row | None:
    """Lock a delivery and answer it without its body."""
    return await connection.fetchrow(_SHOWN + "WHERE id = $1 FOR UPDATE", delivery_id)


async def get_delivery(connection: Connection, delivery_id: UUID) -> Row | None:
    """Answer a delivery without its body."""
    return await connection.fetchrow(_SHOWN + "WHERE id = $1", delivery_id)


async def list_deliveries(
    connection: Connection, before: UUID | None, state: str, host: str, repository: str, limit: int
) -> list[Row]:
    """Answer deliveries, newest first, those older than `before`; an empty filter lets all through."""
    rows: list[Row] = await connection.fetch(
        _SHOWN + "WHERE ($1::uuid IS NULL OR id < $1) AND ($2 = '' OR state = $2) AND ($3 = '' OR host = $3) "
        "AND ($4 = '' OR repository = $4) ORDER BY id DESC LIMIT $5",
        before,
        state,
        host,
        repository,
        limit,
    )
    return rows


async def list_dead(connection: Connection, before: UUID | None, limit: int) -> list[Row]:
    """Answer deliveries that failed, newest first, those older than `before`."""
    rows: list[Row] = await connection.fetch(
        _SHOWN + "WHERE state = 'FAILED' AND ($1::uuid IS NULL OR id < $1) ORDER BY id DESC LIMIT $2", before, limit
    )
    return rows


async def prune(connection: Connection, limit: int, *, handled: timedelta, dead: timedelta) -> int:
    """Forget up to `limit` deliveries that were settled so long ago; answers how many."""
    done: str = await connection.execute(
        "DELETE FROM webhooks.deliveries WHERE id IN (SELECT id FROM webhooks.deliveries WHERE state <> 'RECEIVED' "
        "AND update_time < clock_timestamp() - $1::interval "
        "AND (state <> 'FAILED' OR update_time < clock_timestamp() - $2::interval) "
        "ORDER BY update_time LIMIT $3 FOR UPDATE SKIP LOCKED)",
        handled,
        dead,
        limit,
    )
    return int(done.rpartition(" ")[2])


async def measure(connection: Connection, most: int) -> Row:
    """Answer how many rows of each queue wait, counted up to `most`, and how many seconds the oldest is waiting."""
    row = await connection.fetchrow(_MEASURE, most)
    assert row is not None, "a query without FROM has one row"
    return row
