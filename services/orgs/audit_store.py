"""SQL of reading the audit log; what writes it is services.kit.postgres.audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.postgres.audit import Actor, Entry, changes_from_json
from services.kit.postgres.pool import Connection


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are asked for; what is empty does not limit."""

    action: str = ""
    actor_id: str = ""
    resource_kind: str = ""
    resource_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry and the digest that stands with it."""

    entry: Entry
    sha256: bytes


async def page(
    connection: Connection, organization_id: UUID, wanted: Filter, before: int | None, limit: int
) -> Sequence[Stored]:
    """Answer at most `limit` entries, newest first, those numbered below `before`."""
    rows = await connection.fetch(
        "SELECT * FROM orgs.audit_log WHERE organization_id = $1 AND ($2::bigint IS NULL OR sequence < $2) "
        "AND ($3 = '' OR action = $3) AND ($4 = '' OR actor_id = $4) AND ($5 = '' OR resource_kind = $5) "
        "AND ($6 = '' OR resource_id = $6) AND ($7::timestamptz IS NULL OR create_time >= $7) "
        "AND ($8::timestamptz IS NULL OR create_time < $8) ORDER BY sequence DESC LIMIT $9",
        *(organization_id, before, wanted.action, wanted.actor_id, wanted.resource_kind, wanted.resource_id),
        *(wanted.since, wanted.until, limit),
    )
    return [_stored(row) for row in rows]


async def following(connection: Connection, organization_id: UUID, after: int, limit: int) -> Sequence[Stored]:
    """Answer at most `limit` entries, oldest first, those numbered above `after`."""
    rows = await connection.fetch(
        "SELECT * FROM orgs.audit_log WHERE organization_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
        organization_id,
        after,
        limit,
    )
    return [_stored(row) for row in rows]


def _stored(row: Mapping[str, Any]) -> Stored:
    entry = Entry(
        organization_id=row["organization_id"],
        sequence=row["sequence"],
        time=row["create_time"],
        actor=Actor(row["actor_kind"], row["actor_id"]),
        action=row["action"],
        resource_kind=row["resource_kind"],
        resource_id=row["resource_id"],
        changes=changes_from_json(row["changes"]),
        request_id=row["request_id"],
        address=row["address"],
        previous_sha256=row["previous_sha256"],
    )
    return Stored(entry, row["sha256"])
