"""SQL of repositories as we know them from their webhooks, and of the heads that an event has told of."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from services.kit.postgres.pool import Connection, Row
from services.webhooks.hosts.base import PullRequestRef

Place = tuple[UUID, str, str, str]  # organisation, host, repository id, connection: the key of a repository
_AT = "organization_id = $1 AND host = $2 AND repository_id = $3 AND connection_id = $4"
_PACE = timedelta(seconds=2.5)  # between sweeps at least: 1,440 an hour of the 5,000 calls that GitHub allows
_CLAIM_SWEEP = (
    "UPDATE webhooks.repositories r SET sweep_at = clock_timestamp() "
    "+ greatest($1::interval, $2::interval * (SELECT count(*) FROM webhooks.repositories)) "
    "FROM (SELECT organization_id, host, repository_id, connection_id FROM webhooks.repositories "
    "WHERE sweep_at <= clock_timestamp() ORDER BY sweep_at LIMIT 1 FOR UPDATE SKIP LOCKED) AS due "
    "WHERE (r.organization_id, r.host, r.repository_id, r.connection_id) "
    "= (due.organization_id, due.host, due.repository_id, due.connection_id) "
    "RETURNING r.*, clock_timestamp() AS now"
)
_HEALTH = (
    "SELECT h.*, p.reason AS refused_reason, p.update_time AS refused_time, p.count AS refused FROM (SELECT "
    "coalesce(r.host, f.host) AS host, coalesce(r.repository, f.repository) AS repository, "
    "coalesce(r.connection_id, f.connection_id) AS connection_id, coalesce(r.repository_id, '') AS repository_id, "
    "r.connect_time, coalesce(r.last_delivery_time, f.arrived) AS last_delivery_time, r.sweep_time, "
    "coalesce(r.failures, 0) AS failures, r.failure_reason, r.failure_time, "
    "coalesce(f.count, 0) AS failed, f.reason AS failed_reason, f.time AS failed_time FROM webhooks.repositories r "
    "FULL JOIN (SELECT host, repository, connection_id, count(*)::int AS count, max(create_time) AS arrived, "
    "max(update_time) AS time, (array_agg(reason ORDER BY update_time DESC))[1] AS reason "
    "FROM webhooks.deliveries WHERE state = 'FAILED' GROUP BY host, repository, connection_id) f "
    "ON (f.host, f.repository, f.connection_id) = (r.host, r.repository, r.connection_id)) h "
    "LEFT JOIN LATERAL (SELECT reason, update_time, count(*) OVER ()::int AS count FROM webhooks.publications "
    "WHERE state = 'REJECTED' AND host = h.host AND repository_id = h.repository_id "
    "AND update_time > clock_timestamp() - interval '30 days' ORDER BY update_time DESC LIMIT 1) p ON true "
    "WHERE (h.host, h.repository, h.connection_id, h.repository_id) > ($1, $2, $3, $4) "
    "ORDER BY h.host, h.repository, h.connection_id, h.repository_id LIMIT $5"
)


def place(organization_id: UUID, ref: PullRequestRef) -> Place:
    """Answer the key of a pull request's repository."""
    return organization_id, ref.host, ref.repository_id, ref.connection_id


async def note_delivery(connection: Connection, organization_id: UUID, ref: PullRequestRef, arrived: datetime) -> None:
    """Note that a repository was heard of; the first time connects it."""
    await connection.execute(
        "INSERT INTO webhooks.repositories (organization_id, host, repository_id, connection_id, repository, "
        "connect_time, last_delivery_time) VALUES ($1, $2, $3, $4, $5, $6, $6) "
        "ON CONFLICT (organization_id, host, repository_id, connection_id) DO UPDATE SET "
        "repository = excluded.repository, "
        "last_delivery_time = greatest(repositories.last_delivery_time, excluded.last_delivery_time)",
        *place(organization_id, ref),
        ref.repository,
        arrived,
    )


async def announce(
    connection: Connection, organization_id: UUID, ref: PullRequestRef, head_sha: str, base_ref: str
) -> None:
    """Note that an event tells of this head."""
    await connection.execute(
        "INSERT INTO webhooks.announced_heads (organization_id, host, repository_id, connection_id, number, head_sha, "
        "base_ref) VALUES ($1, $2, $3, $4, $5, $6, $7) "
        "ON CONFLICT (organization_id, host, repository_id, connection_id, number) DO UPDATE SET "
        "head_sha = excluded.head_sha, base_ref = excluded.base_ref, update_time = clock_timestamp()",
        *place(organization_id, ref),
        ref.number,
        head_sha,
        base_ref,
    )


async def announced(connection: Connection, repository: Place) -> dict[int, tuple[str, str]]:
    """Answer head and base of each pull request of a repository that an event has told of."""
    rows = await connection.fetch(
        f"SELECT number, head_sha, base_ref FROM webhooks.announced_heads WHERE {_AT}",  # noqa: S608
        *repository,
    )
    return {row["number"]: (row["head_sha"], row["base_ref"]) for row in rows}


async def forget_heads(connection: Connection, repository: Place, numbers: Collection[int]) -> None:
    """Forget pull requests that are no longer open."""
    await connection.execute(
        f"DELETE FROM webhooks.announced_heads WHERE {_AT} AND number = ANY($5)",  # noqa: S608
        *repository,
        list(numbers),
    )


async def forget_old_heads(connection: Connection, repository: Place, age: timedelta) -> None:
    """Forget heads that no event has told of for so long."""
    await connection.execute(
        f"DELETE FROM webhooks.announced_heads WHERE {_AT} AND update_time < clock_timestamp() - $5::interval",  # noqa: S608
        *repository,
        age,
    )


async def claim_sweep(connection: Connection, cadence: timedelta) -> Row | None:
    """Take the repository that is due first; the next look at it is `cadence` from now, later if there are very many.

    Its `now` is the database's time.
    """
    return await connection.fetchrow(_CLAIM_SWEEP, cadence, _PACE)


async def finish_sweep(connection: Connection, repository: Place, began: datetime) -> None:
    """Note that the host told everything there was at `began`."""
    await connection.execute(
        f"UPDATE webhooks.repositories SET sweep_time = $5, failures = 0, failure_reason = '' WHERE {_AT}",  # noqa: S608
        *repository,
        began,
    )


async def fail_sweep(connection: Connection, repository: Place, reason: str, pause: timedelta | None) -> None:
    """Note why the host could not be asked; the next look is `pause` from now where that is given."""
    await connection.execute(
        "UPDATE webhooks.repositories SET failures = failures + 1, failure_reason = $5, "  # noqa: S608
        "failure_time = clock_timestamp(), sweep_at = coalesce(clock_timestamp() + $6::interval, sweep_at) "
        f"WHERE {_AT}",
        *repository,
        reason.replace("\0", "")[:1000],
        pause,
    )


async def health(connection: Connection, after: tuple[str, str, str, str], limit: int) -> list[Row]:
    """Answer repositories behind `after` (host, name, connection, id), with what goes wrong there."""
    rows: list[Row] = await connection.fetch(_HEALTH, *after, limit)
    return rows
