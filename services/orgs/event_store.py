"""SQL of analytics events."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from services.kit.postgres.pool import Connection, Row

_FORGOTTEN_AT_ONCE = 100  # rows that one new event may sweep away
_GROUPS = {
    "event": ("event", "count(*) DESC, 1"),
    "day": ("to_char(create_time AT TIME ZONE 'UTC', 'YYYY-MM-DD')", "1"),
    "user": ("coalesce(user_id::text, '')", "count(*) DESC, 1"),
}
MOST_GROUPS = 1000


async def insert(
    connection: Connection,
    organization_id: UUID,
    event_id: UUID,
    user_id: UUID | None,
    event: str,
    properties: Mapping[str, object],
    forward_state: str,
) -> None:
    """Store an event, unless it is there."""
    await connection.execute(
        "INSERT INTO orgs.events (organization_id, id, user_id, event, properties, forward_state) "
        "VALUES ($1, $2, $3, $4, $5::jsonb, $6) ON CONFLICT DO NOTHING",
        *(organization_id, event_id, user_id, event, json.dumps(properties), forward_state),
    )


async def forget(connection: Connection, organization_id: UUID, age: timedelta) -> None:
    """Delete some of the events that are older than `age`."""
    await connection.execute(
        "DELETE FROM orgs.events WHERE organization_id = $1 AND id = ANY(ARRAY(SELECT id FROM orgs.events "
        "WHERE organization_id = $1 AND create_time < clock_timestamp() - $2::interval ORDER BY create_time LIMIT $3))",
        organization_id,
        age,
        _FORGOTTEN_AT_ONCE,
    )


async def counts(
    connection: Connection, organization_id: UUID, since: datetime, until: datetime, group_by: str
) -> Sequence[Row]:
    """Answer rows of (name, count, users) by `event`, `day` or `user`, at most 1000."""
    name, order = _GROUPS[group_by]
    return list(
        await connection.fetch(
            f"SELECT {name} AS name, count(*) AS count, count(DISTINCT user_id) AS users FROM orgs.events "  # noqa: S608
            "WHERE organization_id = $1 AND create_time >= $2 AND create_time < $3 "
            f"GROUP BY 1 ORDER BY {order} LIMIT {MOST_GROUPS}",
            *(organization_id, since, until),
        )
    )


async def claim(connection: Connection, limit: int, patience: timedelta) -> Sequence[Row]:
    """Take events that are to be sent on; they come back after `patience` unless they are settled. Queue role."""
    return list(
        await connection.fetch(
            "UPDATE orgs.events SET forward_attempts = forward_attempts + 1, available_at = clock_timestamp() + $2 "
            "WHERE (organization_id, id) IN (SELECT organization_id, id FROM orgs.events "
            "WHERE forward_state = 'WAITING' AND available_at <= clock_timestamp() "
            "ORDER BY available_at LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING *",
            limit,
            patience,
        )
    )


async def settle(connection: Connection, organization_id: UUID, event_id: UUID, state: str) -> None:
    """Say what became of an event: SENT or FAILED. Queue role."""
    await connection.execute(
        "UPDATE orgs.events SET forward_state = $3 WHERE organization_id = $1 AND id = $2",
        *(organization_id, event_id, state),
    )
