"""What happens to runs: asked for by events, claimed, kept alive, ended, put back, rescued, cancelled."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Connection, Database, Row
from services.kit.telemetry import log, metrics
from services.review import run_store as store
from services.review.domain import Change, Run, RunState

LEASE = timedelta(seconds=45)
MAX_SUPERSEDINGS = 3  # in a row; then the run that is on is brought to its end
MAX_SUPERSEDING_TIME = timedelta(minutes=10)
MAX_ERRORS = 5
MAX_CRASHES = 3
MAX_WAITING = timedelta(hours=24)
CHANNEL = "review_runs"
_logger = log.get("runs")


@dataclass(frozen=True, slots=True)
class Orders:
    """What a heartbeat brings back."""

    stop: RunState | None  # SUPERSEDED or CANCELLED
    must_finish: bool


class Runs:
    """The use cases around runs; each is one transaction, and everything is decided under the pull request's lock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def observe(self, organization_id: UUID, change: Change, traceparent: str) -> None:
        """Act on an event: begin or redirect the waiting run, and have a newer head supersede the one that is on."""
        async with self._database.tenant(organization_id) as connection:
            pull_request = await store.lock_pull_request(connection, organization_id, change.ref)
            runs = await store.runs_of(connection, pull_request["id"])
            waiting = next((r for r in runs if r["state"] == RunState.QUEUED), None)
            running = next((r for r in runs if r["state"] == RunState.RUNNING), None)
            if change.action == "closed":
                if waiting:
                    await store.move(connection, waiting, RunState.SUPERSEDED, "the pull request was closed")
                if running:
                    await store.ask_to_stop(connection, running["id"], RunState.SUPERSEDED)
                return
            settled = {RunState.QUEUED, RunState.RUNNING, RunState.PUBLISHED, RunState.CANCELLED}
            if any(r["state"] in settled and _key(r) == (change.head_sha, change.base_ref) for r in runs):
                return
            if waiting:
                await store.retarget(connection, waiting["id"], change.head_sha, change.base_ref)
            else:
                await store.insert(connection, pull_request, change.head_sha, change.base_ref, traceparent)
            if running and running["stop_reason"] == "":
                since = pull_request["superseding_since"]
                too_long = since is not None and pull_request["now"] - since > MAX_SUPERSEDING_TIME
                if pull_request["superseded_count"] >= MAX_SUPERSEDINGS or too_long:
                    await store.must_finish(connection, running["id"])
                else:
                    await store.count_superseding(connection, pull_request["id"])
                    await store.ask_to_stop(connection, running["id"], RunState.SUPERSEDED)
            await connection.execute(f"NOTIFY {CHANNEL}")

    async def claim(self, worker: str) -> Run | None:
        """Take the run that is due first, or None; it is the worker's for LEASE from now."""
        async with self._database.queue() as connection:
            row = await store.lock_due(connection)
            if row is None:
                return None
            return store.to_run(await store.begin_claim(connection, row, worker, LEASE))

    async def heartbeat(self, run: Run) -> Orders:
        """Keep the run for LEASE from now. Raises LeaseLostError."""
        async with self._database.tenant(run.organization_id) as connection:
            row = await store.hold(connection, run)
            await store.extend_lease(connection, run.id, LEASE)
            stop = RunState(row["stop_reason"]) if row["stop_reason"] else None
            return Orders(stop, row["must_finish"])

    async def adopt_head(self, run: Run, head_sha: str, base_ref: str) -> bool:
        """Take over what the host says is the head; False if that head has a review already. Raises LeaseLostError."""
        async with self._database.tenant(run.organization_id) as connection:
            await store.hold(connection, run)
            for other in await store.runs_of(connection, run.pull_request_id):
                same = _key(other) == (head_sha, base_ref) and other["force_key"] == run.force_key
                if same and other["id"] != run.id and other["state"] == RunState.PUBLISHED:
                    return False
            await store.retarget(connection, run.id, head_sha, base_ref)
            return True

    async def finish(self, run: Run, state: RunState, reason: str = "", url: str = "") -> None:
        """Bring the run to its end. Raises LeaseLostError."""
        async with self._database.tenant(run.organization_id) as connection:
            row = await store.hold(connection, run)
            await store.move(connection, row, state, reason, **({"url": url} if url else {}))
        metrics.RUNS.labels(state.value).inc()
        _logger.info("run ended", run_id=str(run.id), state=state.value, reason=reason)

    async def put_back(self, run: Run, kind: str, reason: str, delay: timedelta) -> None:
        """Let a run be tried again after `delay`; `kind` is errors, waits or release. Raises LeaseLostError."""
        async with self._database.tenant(run.organization_id) as connection:
            row = await store.hold(connection, run)
            await _back_to_queue(connection, row, kind, reason, delay)

    async def rescue(self) -> bool:
        """Put back one run whose worker has let its lease run out; True if there was one."""
        async with self._database.queue() as connection:
            row = await store.lock_expired(connection)
            if row is None:
                return False
            metrics.LEASES_LOST.inc()
            delay = timedelta(seconds=2 ** min(row["crashes"], 6) - 1)
            await _back_to_queue(connection, row, "crashes", "its worker stopped", delay)
            _logger.warning("run rescued", run_id=str(row["id"]), crashes=row["crashes"] + 1)
            return True

    async def cancel(self, organization_id: UUID, run_id: UUID) -> None:
        """End a run on a person's word. Raises AppError NOT_FOUND or WRONG_STATE."""
        async with self._database.tenant(organization_id) as connection:
            row = await store.lock_of_run(connection, run_id)
            if row is None:
                raise AppError(Reason.NOT_FOUND, review=str(run_id))
            state = RunState(row["state"])
            if state.is_final:
                raise AppError(Reason.WRONG_STATE, f"The review is {state.lower()} already.", state=state.lower())
            if state is RunState.QUEUED:
                await store.move(connection, row, RunState.CANCELLED, "cancelled by a person")
            else:
                await store.ask_to_stop(connection, run_id, RunState.CANCELLED)


def _key(row: Row) -> tuple[str, str]:
    return row["head_sha"], row["base_ref"]


async def _back_to_queue(connection: Connection, row: Row, kind: str, reason: str, delay: timedelta) -> None:
    now = await connection.fetchval("SELECT clock_timestamp()")
    others = await store.runs_of(connection, row["pull_request_id"])
    limits = {"errors": MAX_ERRORS, "crashes": MAX_CRASHES}
    count = row[kind] + 1 if kind in ("errors", "crashes", "waits") else 0
    if row["stop_reason"]:
        await store.move(connection, row, RunState(row["stop_reason"]), reason)
    elif any(other["state"] == RunState.QUEUED for other in others):
        await store.move(connection, row, RunState.SUPERSEDED, "a newer head waits")
    elif kind in limits and count >= limits[kind]:
        await store.move(connection, row, RunState.FAILED, f"{reason} (after {count} attempts)", **{kind: count})
    elif kind == "waits" and now - row["create_time"] > MAX_WAITING:
        await store.move(connection, row, RunState.FAILED, f"{reason} (for more than a day)")
    else:
        counted = {kind: count} if count else {}
        await store.move(connection, row, RunState.QUEUED, reason, available_at=now + delay, **counted)
