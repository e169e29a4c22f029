"""A worker on a real Postgres: it keeps its lease, gives it up in time, obeys orders, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database
from services.review.domain import Run, RunState
from services.review.runs import Runs
from services.review.worker import Worker, boot_time
from tests.integration.review.steps import ORGANIZATION, REF, A, B, Owner, claim, observe, one, states
from tests.support.postgres import Database as OneDatabase
from tests.support.system import until

SHORT = timedelta(seconds=0.9)


class Work:
    """What a worker carries in these tests: it goes on until the test lets it end, and says what became of it."""

    def __init__(self, then: Callable[[Run], Awaitable[None]] | None = None) -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.stopped = asyncio.Event()
        self._then = then

    async def __call__(self, run: Run) -> None:
        self.began.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.stopped.set()
            raise
        if self._then:
            await self._then(run)


@asynccontextmanager
async def working(runs: Runs, work: Work, concurrency: int = 1) -> AsyncIterator[Worker]:
    """A worker with the run that is due."""
    worker = Worker(runs, work, concurrency)
    assert await worker.claim_next()
    await work.began.wait()
    try:
        yield worker
    finally:
        await worker.drain(0)


async def becomes(owner: Owner, *wanted: tuple[str, str]) -> None:
    async def is_so() -> bool:
        return await states(owner) == list(wanted)

    await until(is_so, seconds=10)


@pytest.mark.parametrize(("action", "state"), [("closed", "QUEUED"), ("cancel", "CANCELLED")])
async def test_an_order_stops_the_work_at_once(runs: Runs, owner: Owner, action: str, state: str) -> None:
    await observe(runs, A)
    work = Work()
    async with working(runs, work) as worker:
        if action == "cancel":
            await runs.cancel(ORGANIZATION, (await one(owner, "SELECT id FROM review.runs"))["id"])
        else:
            await observe(runs, A, action)
        worker.wake()  # long before the next heartbeat
        await asyncio.wait_for(work.stopped.wait(), 5)
        await becomes(owner, (A, state))


async def test_a_newer_head_stops_the_work_and_is_next(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    work = Work()
    async with working(runs, work) as worker:
        await observe(runs, B)
        worker.wake()
        await becomes(owner, (A, "SUPERSEDED"), (B, "QUEUED"))
    assert work.stopped.is_set()


async def test_one_hint_reaches_every_run(runs: Runs, owner: Owner) -> None:
    worker = Worker(runs, Work(), 3)
    for number in (1, 2, 3):
        await observe(runs, A, ref=REF.__class__("github", "", "42", "acme/shop", number))
        assert await worker.claim_next()
    for row in await owner.fetch("SELECT id FROM review.runs"):
        await runs.cancel(ORGANIZATION, row["id"])
    worker.wake()
    await becomes(owner, *[(A, "CANCELLED")] * 3)
    await worker.drain(0)


async def test_heartbeats_keep_the_lease_while_there_is_work(db: Database, owner: Owner) -> None:
    runs = Runs(db, SHORT)
    await observe(runs, A)

    async def is_kept() -> bool:
        assert not await runs.rescue()
        row = await one(owner, "SELECT lease_expire_time - claim_time AS held FROM review.runs")
        return bool(row["held"] > 2 * SHORT)

    async with working(runs, Work()):
        await until(is_kept, seconds=10)


async def test_a_worker_that_cannot_reach_the_database_stops_before_its_lease_ends(
    db: Database, owner: Owner, database: OneDatabase
) -> None:
    runs = Runs(db, SHORT)
    await observe(runs, A)
    work = Work()
    observer = await asyncpg.connect(database.owner_dsn)
    async with working(runs, work), owner.transaction():
        await owner.execute("SELECT FROM review.pull_requests FOR UPDATE")  # heartbeats get no answer
        await asyncio.wait_for(work.stopped.wait(), 5)
        assert await observer.fetchval("SELECT lease_expire_time > clock_timestamp() FROM review.runs")
    await observer.close()
    row = await one(owner, "SELECT state, crashes FROM review.runs")
    assert tuple(row) == ("QUEUED", 0)  # given back as soon as that is possible: nothing crashed


async def test_a_worker_stops_when_the_machine_has_slept_through_its_lease(runs: Runs, owner: Owner) -> None:
    """The timers of a process stand while the machine sleeps; its clock, and the lease, go on."""
    await observe(runs, A)
    slept = 0.0
    work = Work()
    worker = Worker(runs, work, 1, now=lambda: boot_time() + slept)
    assert await worker.claim_next()
    await work.began.wait()
    async with owner.transaction():
        await owner.execute("SELECT FROM review.pull_requests FOR UPDATE")  # nor does a heartbeat get through
        slept = runs.lease.total_seconds()
        await asyncio.wait_for(work.stopped.wait(), 10)  # long before the next heartbeat of a clock that stood
    await worker.drain(0)


async def test_a_worker_whose_run_somebody_else_has_stops_and_writes_nothing(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    work = Work()
    async with working(runs, work) as worker:
        await owner.execute("UPDATE review.runs SET lease_expire_time = clock_timestamp() - interval '1 second'")
        assert await runs.rescue()
        await owner.execute("UPDATE review.runs SET available_at = clock_timestamp()")
        other = await claim(runs)
        worker.wake()
        await asyncio.wait_for(work.stopped.wait(), 5)
    assert await runs.heartbeat(other) is None
    assert (await one(owner, "SELECT crashes FROM review.runs"))["crashes"] == 1


async def test_work_that_ends_while_it_is_told_to_stop_has_the_last_word(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)

    class Published(Work):
        async def __call__(self, run: Run) -> None:
            try:
                await super().__call__(run)
            except asyncio.CancelledError:
                await runs.finish(run, RunState.PUBLISHED)

    async with working(runs, Published()) as worker:
        await observe(runs, B)
        worker.wake()
        await becomes(owner, (A, "PUBLISHED"), (B, "QUEUED"))


@pytest.mark.parametrize(
    ("error", "errors", "reason"),
    [
        (ZeroDivisionError("a secret"), 1, "internal error (ZeroDivisionError)"),
        (AppError(Reason.UNAVAILABLE, "The database does not answer."), 0, "The database does not answer."),
    ],
    ids=["bug", "database"],
)
async def test_a_bug_is_counted_and_a_lost_database_is_not(
    runs: Runs, owner: Owner, error: Exception, errors: int, reason: str
) -> None:
    await observe(runs, A)

    async def fail(run: Run) -> None:
        raise error

    work = Work(fail)
    async with working(runs, work):
        work.may_end.set()
        await becomes(owner, (A, "QUEUED"))
    row = await one(owner, "SELECT errors, state_reason, available_at > clock_timestamp() FROM review.runs")
    assert tuple(row) == (errors, reason, True)


async def test_a_full_worker_claims_nothing_and_says_when_it_is_free(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    free = asyncio.Event()
    work = Work(lambda run: runs.finish(run, RunState.PUBLISHED))
    async with working(runs, work) as worker:
        worker.when_free(free.set)
        await observe(runs, A, ref=REF.__class__("github", "", "42", "acme/shop", 8))
        assert not await asyncio.wait_for(worker.claim_next(), 5)
        work.may_end.set()
        await asyncio.wait_for(free.wait(), 5)
        assert await worker.claim_next()


async def test_what_is_on_at_the_end_goes_back_uncounted_for_others_at_once(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    async with working(runs, Work()) as worker:
        await worker.drain(0)
        row = await one(owner, "SELECT state, errors, crashes, waits, state_reason FROM review.runs")
        assert tuple(row) == ("QUEUED", 0, 0, 0, "the worker was stopped")
    assert (await claim(runs)).epoch == 2


async def test_a_claim_that_was_on_its_way_when_the_worker_stopped_goes_back(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    worker = Worker(runs, Work(), 1)
    async with owner.transaction():
        await owner.execute("LOCK TABLE review.runs")
        claiming = asyncio.create_task(worker.claim_next())

        async def is_asked() -> bool:
            return bool(await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        await until(is_asked, seconds=10)
        await worker.drain(0)
    assert not await claiming
    row = await one(owner, "SELECT state, epoch, state_reason FROM review.runs")
    assert tuple(row) == ("QUEUED", 1, "the worker was stopped")
