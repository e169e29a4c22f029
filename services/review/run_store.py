"""All SQL about pull requests and runs. Every change of a run is made under its pull request's row lock."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.kit.ids import new_id
from services.kit.postgres.pool import Connection, Row
from services.kit.postgres.turns import turns
from services.review.domain import PullRequestRef, Run, RunState
from services.review.machine import ALLOWED

_RUN = (
    "SELECT r.*, r.receipt IS NOT NULL AS has_report, "
    "p.host, p.connection_id, p.host_repository_id, p.repository, p.number "
    "FROM review.runs r JOIN review.pull_requests p ON p.id = r.pull_request_id "
)
_DUE = (
    "r.state = 'QUEUED' AND r.available_at <= clock_timestamp() AND NOT EXISTS "
    "(SELECT FROM review.runs o WHERE o.pull_request_id = r.pull_request_id AND o.state = 'RUNNING')"
)
# The organisations in the order of their turns; of each, the run that is due first and whose lock is free.
_FIRST_DUE = (
    turns("review.runs", "state = 'QUEUED'") + " SELECT due.id FROM turn CROSS JOIN LATERAL ("  # noqa: S608
    "SELECT p.id FROM review.runs r JOIN review.pull_requests p ON p.id = r.pull_request_id "
    f"WHERE r.organization_id = turn.organization_id AND {_DUE} ORDER BY r.available_at LIMIT 1 "
    "FOR UPDATE OF p SKIP LOCKED) AS due WHERE (SELECT count(*) FROM review.runs o "
    "WHERE o.state = 'RUNNING' AND o.organization_id = turn.organization_id) < $1 LIMIT 1"
)
_FIRST_EXPIRED = (
    "SELECT p.id FROM review.runs r JOIN review.pull_requests p ON p.id = r.pull_request_id "
    "WHERE r.state = 'RUNNING' AND r.lease_expire_time < clock_timestamp() "
    "ORDER BY r.lease_expire_time LIMIT 1 FOR UPDATE OF p SKIP LOCKED"
)
_EXPIRED = "r.state = 'RUNNING' AND r.lease_expire_time < clock_timestamp()"


class LeaseLostError(Exception):
    """Somebody else has the run now: stop without another write."""


async def lock_pull_request(connection: Connection, organization_id: UUID, ref: PullRequestRef) -> Row:
    """Find or make the row of a pull request and lock it until the transaction ends."""
    row = await connection.fetchrow(
        "INSERT INTO review.pull_requests "
        "(id, organization_id, host, connection_id, host_repository_id, repository, number) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) "
        "ON CONFLICT (organization_id, host, connection_id, host_repository_id, number) "
        "DO UPDATE SET repository = excluded.repository RETURNING *, clock_timestamp() AS now",
        new_id(),
        organization_id,
        ref.host,
        ref.connection_id,
        ref.repository_id,
        ref.repository,
        ref.number,
    )
    assert row is not None, "an upsert returns its row"
    return row


async def lock_of_run(connection: Connection, run_id: UUID) -> Row | None:
    """Lock the pull request of a run, then answer the run as it is under the lock; None if there is no such run."""
    await connection.execute(
        "SELECT FROM review.pull_requests WHERE id = (SELECT pull_request_id FROM review.runs WHERE id = $1) "
        "FOR UPDATE",
        run_id,
    )
    return await connection.fetchrow(_RUN + "WHERE r.id = $1", run_id)


async def hold(connection: Connection, run: Run) -> Row:
    """Lock the pull request of a run that its worker still has, and answer the run. Raises LeaseLostError."""
    row = await lock_of_run(connection, run.id)
    if row is None or row["state"] != RunState.RUNNING or row["epoch"] != run.epoch:
        raise LeaseLostError(str(run.id))
    return row


async def lock_due(connection: Connection, organization_limit: int) -> Row | None:
    """Lock the pull request of a run that is due and answer the run: of the organisation whose turn it is, the first.

    An organisation with `organization_limit` runs in progress is passed over.
    """
    return await _lock_first(connection, _DUE, _FIRST_DUE, organization_limit)


async def lock_expired(connection: Connection) -> Row | None:
    """Lock the pull request of the run whose lease is over first and whose lock is free, and answer the run."""
    return await _lock_first(connection, _EXPIRED, _FIRST_EXPIRED)


async def _lock_first(connection: Connection, condition: str, query: str, *values: int) -> Row | None:
    while True:
        pull_request = await connection.fetchval(query, *values)
        if pull_request is None:
            return None
        # Asked again under the lock: somebody else may have been here between the look and the lock. Then the next
        # look sees what they did and finds another, so that one lost race does not hide the runs behind it.
        run = await connection.fetchrow(_RUN + f"WHERE r.pull_request_id = $1 AND {condition}", pull_request)
        if run is not None:
            return run


async def runs_of(connection: Connection, pull_request_id: UUID) -> list[Row]:
    """Answer the runs of a locked pull request that are on or waiting, and the newest of each finished head."""
    rows: list[Row] = await connection.fetch(
        "SELECT DISTINCT ON (head_sha, base_ref, force_key, state) id, organization_id, pull_request_id, head_sha, "
        "base_ref, force_key, state, available_at, waits, stop_state, must_finish, woken, traceparent, "
        "receipt IS NOT NULL AS has_report FROM review.runs WHERE pull_request_id = $1 "
        "ORDER BY head_sha, base_ref, force_key, state, id DESC",
        pull_request_id,
    )
    return rows


async def insert(
    connection: Connection,
    organization_id: UUID,
    pull_request_id: UUID,
    head_sha: str,
    base_ref: str,
    traceparent: str,
    *,
    force_key: str = "",
    available_at: datetime | None = None,
) -> None:
    """Begin a run that waits, until `available_at` or not at all; the pull request is locked."""
    await connection.execute(
        "INSERT INTO review.runs (id, organization_id, pull_request_id, head_sha, base_ref, traceparent, force_key, "
        "available_at) VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, clock_timestamp()))",
        new_id(),
        organization_id,
        pull_request_id,
        head_sha,
        base_ref,
        traceparent,
        force_key,
        available_at,
    )
    await connection.execute("NOTIFY review_runs")


async def retarget(connection: Connection, run_id: UUID, head_sha: str, base_ref: str) -> None:
    """Give a run without a report another head; the old one's errors are forgotten, but a wait is kept."""
    await connection.execute(
        "UPDATE review.runs SET head_sha = $2, base_ref = $3, errors = 0, crashes = 0, wait_since = NULL, "
        "available_at = CASE WHEN waits > 0 THEN available_at ELSE clock_timestamp() END WHERE id = $1",
        run_id,
        head_sha,
        base_ref,
    )
    await connection.execute("NOTIFY review_runs")


async def move(
    connection: Connection, run: Mapping[str, Any], target: RunState, reason: str = "", **values: Any
) -> None:
    """Move a run to a state, and set columns with it. Raises ValueError for a transition that is not in the table."""
    source = RunState(run["state"])
    if (source, target) not in ALLOWED:
        raise ValueError(f"a run does not go from {source} to {target}")
    values |= {"state": target.value, "state_reason": reason}
    if target is not RunState.RUNNING:
        values["lease_expire_time"] = None
    sets = ", ".join(f"{column} = ${number}" for number, column in enumerate(values, start=2))
    finish = ", finish_time = clock_timestamp()" if target.is_final else ""
    await connection.execute(
        f"UPDATE review.runs SET {sets}{finish} WHERE id = $1",  # noqa: S608 - columns are ours, values are arguments
        run["id"],
        *values.values(),
    )
    await connection.execute("NOTIFY review_runs")


async def begin_claim(
    connection: Connection, run: Row, worker: str, lease: timedelta, max_supersedings: int, max_time: timedelta
) -> Row:
    """Move a locked run to RUNNING under a new epoch and answer it as it is then.

    It must finish if so many runs before it were superseded in a row, or runs have been for so long.
    """
    claim = await connection.fetchrow(
        "UPDATE review.pull_requests SET epoch = epoch + 1 WHERE id = $1 RETURNING epoch, clock_timestamp() AS now, "
        "superseded_count >= $2 OR coalesce(clock_timestamp() - superseding_since > $3, false) AS must_finish",
        run["pull_request_id"],
        max_supersedings,
        max_time,
    )
    assert claim is not None, "the row is locked"
    await move(
        connection,
        run,
        RunState.RUNNING,
        epoch=claim["epoch"],
        worker=worker,
        lease_expire_time=claim["now"] + lease,
        claim_time=claim["now"],
        must_finish=claim["must_finish"],
        stop_state="",
        woken=False,
    )
    claimed = await connection.fetchrow(_RUN + "WHERE r.id = $1", run["id"])
    assert claimed is not None, "the row is locked"
    return claimed


async def extend_lease(connection: Connection, run_id: UUID, lease: timedelta) -> None:
    """Let a lease last `lease` from now."""
    await connection.execute(
        "UPDATE review.runs SET lease_expire_time = clock_timestamp() + $2::interval WHERE id = $1", run_id, lease
    )


async def ask_to_stop(connection: Connection, run_id: UUID, state: RunState) -> None:
    """Tell the worker of a run, at its next heartbeat, what to make of it; a person's word is not taken back."""
    await connection.execute(
        "UPDATE review.runs SET stop_state = $2 WHERE id = $1 AND stop_state <> 'CANCELLED'", run_id, state.value
    )
    await connection.execute("NOTIFY review_runs")


async def wake(connection: Connection, run_id: UUID) -> None:
    """Note that an event of its own head came while a run is on: what it learnt from the host may be outdated."""
    await connection.execute("UPDATE review.runs SET woken = true WHERE id = $1", run_id)


async def must_finish(connection: Connection, run_id: UUID) -> None:
    """Say that heads move faster than reviews, and this run comes to its end."""
    await connection.execute("UPDATE review.runs SET must_finish = true WHERE id = $1", run_id)


async def count_superseding(connection: Connection, pull_request_id: UUID) -> None:
    """Note that a newer head ended a run of the locked pull request."""
    await connection.execute(
        "UPDATE review.pull_requests SET superseded_count = superseded_count + 1, "
        "superseding_since = coalesce(superseding_since, clock_timestamp()) WHERE id = $1",
        pull_request_id,
    )


async def forget_supersedings(connection: Connection, pull_request_id: UUID) -> None:
    """Begin the count anew: the row of superseded runs is over."""
    await connection.execute(
        "UPDATE review.pull_requests SET superseded_count = 0, superseding_since = NULL WHERE id = $1", pull_request_id
    )


def to_run(row: Row) -> Run:
    """Build the domain's run."""
    ref = PullRequestRef(row["host"], row["connection_id"], row["host_repository_id"], row["repository"], row["number"])
    same = ("id", "organization_id", "head_sha", "base_ref", "epoch", "errors", "waits", "must_finish", "traceparent")
    more = ("base_sha", "no_model", "dry_run", "crashes", "creator")
    return Run(ref=ref, **{name: row[name] for name in (*same, *more)})
