"""What happens to runs: asked for by events, claimed, kept alive, ended, put back, rescued, cancelled."""

import random
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from services.kit import retries
from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Connection, Database, Row
from services.kit.telemetry import log, metrics
from services.review import run_store as store
from services.review.domain import Change, PutBack, Run, RunState

LEASE = timedelta(seconds=45)
MAX_SUPERSEDINGS = 3  # in a row; then the run that is on is brought to its end
MAX_SUPERSEDING_TIME = timedelta(minutes=10)
UNLIMITED = 2**31 - 1
CHANNEL = "review_runs"
_DEALT_WITH = {RunState.PUBLISHED, RunState.CANCELLED}  # no event has such a head reviewed again
_STOPPED = {RunState.SUPERSEDED: "a newer head came", RunState.CANCELLED: "cancelled by a person"}
_RETRIES = {
    PutBack.ERROR: retries.RUN_ERROR,
    PutBack.CRASH: retries.RUN_CRASH,
    PutBack.WAIT: retries.RUN_WAIT,
    PutBack.RELEASE: retries.RUN_RELEASE,
}
_logger = log.get("runs")
metrics.from_zero(metrics.RUNS, [state for state in RunState if state.is_final])


class Runs:
    """The use cases around runs; each is one transaction, and everything is decided under the pull request's lock."""

    def __init__(
        self,
        database: Database,
        lease: timedelta = LEASE,
        *,
        organization_limit: int = UNLIMITED,
        luck: Callable[[], float] = random.random,
    ) -> None:
        """`organization_limit` is how many runs of one organisation may be on, in all processes together."""
        self._database = database
        self.lease = lease
        self._organization_limit = organization_limit
        self._luck = luck

    async def observe(self, organization_id: UUID, change: Change, traceparent: str) -> None:
        """Act on an event: begin or redirect the waiting run, and have a newer head supersede the one that is on."""
        async with self._database.tenant(organization_id) as connection:
            pull_request = await store.lock_pull_request(connection, organization_id, change.ref)
            runs = await store.runs_of(connection, pull_request["id"])
            running = _in(runs, RunState.RUNNING)
            if change.action == "closed":
                # An event may be late, so it ends nothing: what is on asks the host again, as what waits does anyway.
                if running and not running["stop_state"]:
                    await store.ask_to_stop(connection, running["id"], RunState.QUEUED)
                return
            key = change.head_sha, change.base_ref
            if running and _key(running) == key:
                await store.wake(connection, running["id"])
            elif not any(_key(r) == key and RunState(r["state"]) in {*_DEALT_WITH, RunState.QUEUED} for r in runs):
                await _begin(connection, pull_request, _in(runs, RunState.QUEUED), key, traceparent)
                if running:
                    await _supersede(connection, pull_request, running)

    async def claim(self, worker: str) -> Run | None:
        """Take a run that is due, or None; it is the worker's for the lease from now. Organisations take turns."""
        async with self._database.queue() as connection:
            row = await store.lock_due(connection, self._organization_limit)
            if row is None:
                return None
            return store.to_run(
                await store.begin_claim(connection, row, worker, self.lease, MAX_SUPERSEDINGS, MAX_SUPERSEDING_TIME)
            )

    async def heartbeat(self, run: Run) -> RunState | None:
        """Keep the run for the lease from now; answers what to make of it if it shall stop. Raises LeaseLostError."""
        async with self._database.tenant(run.organization_id) as connection:
            row = await store.hold(connection, run)
            await store.extend_lease(connection, run.id, self.lease)
        return RunState(row["stop_state"]) if row["stop_state"] else None

    async def refresh(self, run: Run) -> Run:
        """Answer the run as it stands now. Raises LeaseLostError."""
        async with self._database.tenant(run.organization_id) as connection:
            return store.to_run(await store.hold(connection, run))

    async def follow_head(self, run: Run, head_sha: str, base_ref: str) -> Run | None:
        """Take over what the host says is the head; None if the run has ended, as that head is or will be dealt with.

        A run with a report keeps its head, as what it has published may be frozen: it comes to its end where it must
        finish, and otherwise another run takes its place. Raises LeaseLostError.
        """
        key = head_sha, base_ref
        async with self._database.tenant(run.organization_id) as connection:
            row = await store.hold(connection, run)
            if row["must_finish"] and row["has_report"] and row["base_ref"] == base_ref:
                return store.to_run(row)
            others = [r for r in await store.runs_of(connection, row["pull_request_id"]) if r["id"] != run.id]
            same = [r for r in others if _key(r) == key and r["force_key"] == row["force_key"]]
            if any(RunState(r["state"]) in _DEALT_WITH for r in same):
                reason = "this head has its review, or a person cancelled it"
            elif _key(row) == key:
                return store.to_run(row)
            elif _in(others, RunState.QUEUED) and not row["must_finish"]:
                reason = "a newer head waits"
            elif not row["has_report"]:
                await store.retarget(connection, run.id, head_sha, base_ref)
                return run.at(head_sha, base_ref)
            else:
                reason = _STOPPED[RunState.SUPERSEDED]
                if not _in(others, RunState.QUEUED):
                    await _insert_like(connection, row, key)
            await _end(connection, row, RunState.SUPERSEDED, reason)
        _tell(run.id, RunState.SUPERSEDED, reason)
        return None

    async def finish(self, run: Run, state: RunState, reason: str = "", url: str = "") -> None:
        """Bring the run to its end. Raises LeaseLostError."""
        async with self._database.tenant(run.organization_id) as connection:
            row = await store.hold(connection, run)
            await _end(connection, row, state, reason, **({"url": url} if url else {}))
        _tell(run.id, state, reason)

    async def put_back(self, run: Run, kind: PutBack, reason: str, delay: timedelta) -> None:
        """Let a run be tried again after `delay`, unless it was asked to stop. Raises LeaseLostError."""
        async with self._database.tenant(run.organization_id) as connection:
            row = await store.hold(connection, run)
            state, reason = await _back_to_queue(connection, row, kind, reason, delay)
        _tell(run.id, state, reason)

    async def rescue(self) -> bool:
        """Put back one run whose worker has let its lease run out; True if there was one."""
        async with self._database.queue() as connection:
            row = await store.lock_expired(connection)
            if row is None:
                return False
            delay = retries.RUN_CRASH.pause(row["crashes"], self._luck())
            state, reason = await _back_to_queue(connection, row, PutBack.CRASH, "its worker stopped", delay)
        metrics.RESCUES.inc()
        _tell(row["id"], state, reason)
        return True

    async def cancel(self, organization_id: UUID, run_id: UUID) -> None:
        """End a run on a person's word. Raises AppError NOT_FOUND or WRONG_STATE."""
        async with self._database.tenant(organization_id) as connection:
            row = await store.lock_of_run(connection, run_id)
            if row is None:
                raise AppError(Reason.NOT_FOUND, "There is no such review.", review=str(run_id))
            state = RunState(row["state"])
            if state.is_final:
                raise AppError(Reason.WRONG_STATE, f"The review is {state.lower()} already.", state=state.lower())
            if state is RunState.RUNNING:
                await store.ask_to_stop(connection, run_id, RunState.CANCELLED)
                return
            await _end(connection, row, RunState.CANCELLED, _STOPPED[RunState.CANCELLED])
        _tell(run_id, RunState.CANCELLED, _STOPPED[RunState.CANCELLED])


def _key(row: Row) -> tuple[str, str]:
    return row["head_sha"], row["base_ref"]


def _in(runs: list[Row], state: RunState) -> Row | None:
    return next((r for r in runs if r["state"] == state), None)


def _tell(run_id: UUID, state: RunState, reason: str) -> None:
    if state.is_final:
        metrics.RUNS.labels(state.value).inc()
    _logger.info("run ended" if state.is_final else "run put back", run_id=str(run_id), state=state, reason=reason)


async def _begin(
    connection: Connection, pull_request: Row, waiting: Row | None, key: tuple[str, str], traceparent: str
) -> None:
    """Have a run wait for a head: the one that waits already, unless something of it may be frozen at the host."""
    if waiting and not waiting["has_report"]:
        await store.retarget(connection, waiting["id"], *key)
        return
    if waiting:
        await store.move(connection, waiting, RunState.SUPERSEDED, _STOPPED[RunState.SUPERSEDED])
    until = waiting["available_at"] if waiting and waiting["waits"] else None  # the host's limit holds for all heads
    organization_id, pull_request_id = pull_request["organization_id"], pull_request["id"]
    await store.insert(connection, organization_id, pull_request_id, *key, traceparent, available_at=until)


async def _supersede(connection: Connection, pull_request: Row, running: Row) -> None:
    """Have the run that is on stop for a newer head, or come to its end if that has gone on for too long."""
    if running["stop_state"] or running["must_finish"]:
        return
    since = pull_request["superseding_since"]
    if since is not None and pull_request["now"] - since > MAX_SUPERSEDING_TIME:
        await store.must_finish(connection, running["id"])
    else:
        await store.count_superseding(connection, pull_request["id"])
        await store.ask_to_stop(connection, running["id"], RunState.SUPERSEDED)


async def _insert_like(connection: Connection, row: Row, key: tuple[str, str]) -> None:
    same = row["organization_id"], row["pull_request_id"]
    await store.insert(connection, *same, *key, row["traceparent"], force_key=row["force_key"])


async def _end(connection: Connection, row: Row, state: RunState, reason: str, **values: str | int) -> None:
    """Move a run to its end; an event that came while it was on, and may say more than the run knew, gets its own."""
    await store.move(connection, row, state, reason, **values)
    waits = _in(await store.runs_of(connection, row["pull_request_id"]), RunState.QUEUED) is not None
    if row["woken"] and not waits and state not in _DEALT_WITH:
        await _insert_like(connection, row, _key(row))
        waits = True
    if state is not RunState.SUPERSEDED or not waits:
        await store.forget_supersedings(connection, row["pull_request_id"])


async def _back_to_queue(
    connection: Connection, row: Row, kind: PutBack, reason: str, delay: timedelta
) -> tuple[RunState, str]:
    """Let a run wait again or, where it may not, end it; answers what became of it and why."""
    now = await connection.fetchval("SELECT clock_timestamp()")
    others = await store.runs_of(connection, row["pull_request_id"])
    stop = RunState(row["stop_state"]) if row["stop_state"] else None
    values = {kind.value: row[kind.value] + 1} if kind is not PutBack.RELEASE else {}
    wait_since = row["wait_since"] or now if kind is PutBack.WAIT else row["wait_since"]
    if stop in _STOPPED:
        state, reason = stop, _STOPPED[stop]
    elif _in(others, RunState.QUEUED):
        state, reason = RunState.SUPERSEDED, "a newer head waits"
    elif stop is RunState.QUEUED and row["has_report"]:
        # Its publication may have ended as closed, for good; were it open again, only another run could publish.
        state, reason = RunState.SUPERSEDED, "the pull request was closed"
        await _insert_like(connection, row, _key(row))
    elif kind is not PutBack.RELEASE and _RETRIES[kind].is_spent(values[kind.value]):
        state, reason = RunState.FAILED, f"{reason} (after {values[kind.value]} attempts)"
    elif kind is PutBack.WAIT and now - wait_since > _RETRIES[kind].lasting:
        state, reason = RunState.FAILED, f"{reason} (for more than a day)"
    else:
        state = RunState.QUEUED
        metrics.RETRIES.labels("run", _RETRIES[kind].failure).inc()
        await store.move(connection, row, state, reason, available_at=now + delay, wait_since=wait_since, **values)
        return state, reason
    await _end(connection, row, state, reason, **values)
    return state, reason
