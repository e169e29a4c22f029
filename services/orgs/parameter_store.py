"""SQL of parameters."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.kit.postgres.pool import Connection
from services.orgs.domain import Parameter

_COLUMNS = "organization_id, key, config_value, etag, update_time"


async def lock(connection: Connection, organization_id: UUID, key: str) -> None:
    """Have other changes of this parameter wait for the transaction, also while there is no row."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"orgs.parameters/{organization_id}/{key}"
    )


async def find(connection: Connection, organization_id: UUID, key: str) -> Parameter | None:
    """Answer a parameter; None if it is not set."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM orgs.parameters WHERE organization_id = $1 AND key = $2",  # noqa: S608
        organization_id,
        key,
    )
    return _parameter(row) if row else None


async def page(connection: Connection, organization_id: UUID, after: str, limit: int) -> Sequence[Parameter]:
    """Answer at most `limit` parameters that are set, by key."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM orgs.parameters WHERE organization_id = $1 AND key > $2 ORDER BY key LIMIT $3",  # noqa: S608
        organization_id,
        after,
        limit,
    )
    return [_parameter(row) for row in rows]


async def put(
    connection: Connection, organization_id: UUID, key: str, value: Mapping[str, object], etag: str
) -> Parameter:
    """Store a parameter in place of what was there and answer it."""
    row = await connection.fetchrow(
        "INSERT INTO orgs.parameters (organization_id, key, config_value, etag) VALUES ($1, $2, $3::jsonb, $4) "  # noqa: S608
        "ON CONFLICT (organization_id, key) DO UPDATE SET config_value = excluded.config_value, etag = excluded.etag, "
        f"update_time = clock_timestamp() RETURNING {_COLUMNS}",
        organization_id,
        key,
        json.dumps(value),
        etag,
    )
    assert row is not None, "an insert or an update answers its row"
    return _parameter(row)


async def delete(connection: Connection, organization_id: UUID, key: str) -> None:
    """Forget a parameter."""
    await connection.execute(
        "DELETE FROM orgs.parameters WHERE organization_id = $1 AND key = $2", organization_id, key
    )


def _parameter(row: Mapping[str, Any]) -> Parameter:
    value: dict[str, object] = json.loads(row["config_value"])
    return Parameter(row["organization_id"], row["key"], value, row["etag"], row["update_time"])
