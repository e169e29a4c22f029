"""Runs on a real Postgres: one in progress and one waiting, superseding, leases, rescue, and the limits of each."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database
from services.review import runs as module
from services.review.domain import Change, PullRequestRef, Run, RunState
from services.review.machine import ALLOWED
from services.review.run_store import LeaseLostError, move
from services.review.runs import Runs
from tests.support.postgres import Database as OneDatabase

Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
ORGANIZATION = uuid4()
REF = PullRequestRef("github", "", "42", "acme/shop", 7)
A, B, C, D, E = (letter * 40 for letter in "abcde")


@pytest.fixture
async def db(database: OneDatabase) -> AsyncIterator[Database]:
    opened = Database(database.app_dsn, "review")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def runs(db: Database) -> Runs:
    return Runs(db)


@pytest.fixture
async def owner(database: OneDatabase) -> AsyncIterator[Owner]:
    connection = await asyncpg.connect(database.owner_dsn)
    yield connection
    await connection.close()


async def observe(runs: Runs, head: str, action: str = "synchronized", ref: PullRequestRef = REF) -> None:
    await runs.observe(ORGANIZATION, Change(ref, action, head, "main"), "")


async def states(owner: Owner) -> list[tuple[str, str]]:
    return [(r["head_sha"], r["state"]) for r in await owner.fetch("SELECT * FROM review.runs ORDER BY id")]


async def one(owner: Owner, query: str) -> asyncpg.Record:
    row = await owner.fetchrow(query)
    assert row is not None
    return row


async def claim(runs: Runs) -> Run:
    run = await runs.claim("test")
    assert run is not None
    return run


async def expire(owner: Owner) -> None:
    await owner.execute(
        "UPDATE review.runs SET lease_expire_time = clock_timestamp() - interval '1 second' WHERE state = 'RUNNING'"
    )


async def due(owner: Owner) -> None:
    await owner.execute("UPDATE review.runs SET available_at = clock_timestamp() WHERE state = 'QUEUED'")


async def test_the_same_event_ten_times_at_once_makes_one_run(runs: Runs, owner: Owner) -> None:
    await asyncio.gather(*(observe(runs, A) for _ in range(10)))
    assert await states(owner) == [(A, "QUEUED")]


async def test_a_burst_of_pushes_collapses_to_the_newest(runs: Runs, owner: Owner) -> None:
    for head in (A, B, C):
        await observe(runs, head)
    assert await states(owner) == [(C, "QUEUED")]


async def test_twenty_claimers_take_each_run_once(runs: Runs, db: Database, owner: Owner) -> None:
    for number in range(1, 31):
        await observe(runs, A, ref=replace(REF, number=number))
    claimed: list[UUID] = []

    async def take() -> None:
        while run := await Runs(db).claim("test"):
            claimed.append(run.id)

    await asyncio.gather(*(take() for _ in range(20)))
    while run := await runs.claim("test"):  # one that lost a race for a lock leaves the rest to the next look
        claimed.append(run.id)
    assert len(claimed) == len(set(claimed)) == 30


async def test_a_claim_takes_nothing_while_a_run_of_the_pull_request_is_on(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    await claim(runs)
    await observe(runs, B)
    assert await runs.claim("test") is None
    assert await states(owner) == [(A, "RUNNING"), (B, "QUEUED")]


async def test_a_newer_head_stops_the_run_that_is_on(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    assert (await runs.heartbeat(run)).stop is None
    await observe(runs, B)
    assert (await runs.heartbeat(run)).stop is RunState.SUPERSEDED
    await runs.finish(run, RunState.SUPERSEDED, "newer head")
    assert (await claim(runs)).head_sha == B


async def test_after_three_supersedings_the_run_that_is_on_comes_to_its_end(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    for head in (B, C, D):
        run = await claim(runs)
        await observe(runs, head)
        assert (await runs.heartbeat(run)).stop is RunState.SUPERSEDED
        await runs.finish(run, RunState.SUPERSEDED)
    run = await claim(runs)
    await observe(runs, E)
    orders = await runs.heartbeat(run)
    assert (orders.stop, orders.must_finish) == (None, True)
    await runs.finish(run, RunState.PUBLISHED)
    run = await claim(runs)  # and the count begins anew
    await observe(runs, A[:-1] + "0")
    assert (await runs.heartbeat(run)).stop is RunState.SUPERSEDED


async def test_after_ten_minutes_of_superseding_the_run_that_is_on_comes_to_its_end(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await owner.execute("UPDATE review.pull_requests SET superseding_since = clock_timestamp() - interval '11 minutes'")
    await observe(runs, B)
    assert (await runs.heartbeat(run)).must_finish


async def test_a_head_with_a_review_is_not_reviewed_again(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    await runs.finish(await claim(runs), RunState.PUBLISHED)
    await observe(runs, A, action="reopened")
    assert await states(owner) == [(A, "PUBLISHED")]


@pytest.mark.parametrize("end", [RunState.FAILED, RunState.SUPERSEDED, RunState.COMPLETED])
async def test_a_head_without_a_review_is_tried_again_by_the_next_event(
    runs: Runs, owner: Owner, end: RunState
) -> None:
    await observe(runs, A)
    await runs.finish(await claim(runs), end)
    await observe(runs, A, action="reopened")
    assert await states(owner) == [(A, end.value), (A, "QUEUED")]


async def test_closing_ends_what_waits_and_stops_what_is_on(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await observe(runs, B)
    await observe(runs, B, action="closed")
    assert (await runs.heartbeat(run)).stop is RunState.SUPERSEDED
    assert await states(owner) == [(A, "RUNNING"), (B, "SUPERSEDED")]


async def test_the_epoch_rises_with_each_claim_and_fences_the_old_worker(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    first = await claim(runs)
    await expire(owner)
    assert await runs.rescue()
    await due(owner)
    second = await claim(runs)
    assert (second.id, second.epoch) == (first.id, first.epoch + 1)
    for attempt in (runs.heartbeat(first), runs.finish(first, RunState.PUBLISHED), runs.adopt_head(first, B, "main")):
        with pytest.raises(LeaseLostError):
            await attempt
    with pytest.raises(LeaseLostError):
        await runs.put_back(first, "errors", "late", timedelta())
    assert await states(owner) == [(A, "RUNNING")]


async def test_a_lease_that_lasts_is_not_rescued(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    await claim(runs)
    assert not await runs.rescue()


async def test_crashes_errors_and_waits_are_counted_apart(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    for kind in ("errors", "waits", "waits", "release"):
        await runs.put_back(await claim(runs), kind, "why", timedelta())
    await claim(runs)
    await expire(owner)
    await runs.rescue()
    row = await one(owner, "SELECT errors, crashes, waits, state FROM review.runs")
    assert tuple(row) == (1, 1, 2, "QUEUED")


async def test_spent_errors_fail_the_run_with_the_reason(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    for _ in range(module.MAX_ERRORS):
        await runs.put_back(await claim(runs), "errors", "the host is down", timedelta())
    row = await one(owner, "SELECT state, state_reason FROM review.runs")
    assert tuple(row) == ("FAILED", f"the host is down (after {module.MAX_ERRORS} attempts)")


async def test_spent_crashes_fail_the_run(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    for _ in range(module.MAX_CRASHES):
        await due(owner)
        await claim(runs)
        await expire(owner)
        assert await runs.rescue()
    assert await states(owner) == [(A, "FAILED")]


async def test_waits_do_not_fail_a_run_before_a_day_is_over(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    for _ in range(20):
        await runs.put_back(await claim(runs), "waits", "rate limit", timedelta())
    await owner.execute("UPDATE review.runs SET create_time = create_time - interval '25 hours'")
    await runs.put_back(await claim(runs), "waits", "rate limit", timedelta())
    assert await states(owner) == [(A, "FAILED")]


async def test_a_run_that_goes_back_while_a_newer_head_waits_is_superseded(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await owner.execute("UPDATE review.pull_requests SET superseded_count = 99")  # it is told to finish
    await observe(runs, B)
    await runs.put_back(run, "errors", "why", timedelta())
    assert await states(owner) == [(A, "SUPERSEDED"), (B, "QUEUED")]


async def test_a_rescued_run_that_was_told_to_stop_stops(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await runs.cancel(ORGANIZATION, run.id)
    await expire(owner)
    await runs.rescue()
    assert await states(owner) == [(A, "CANCELLED")]


async def test_adopting_a_head_that_has_a_review_says_so(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    await runs.finish(await claim(runs), RunState.PUBLISHED)
    await observe(runs, B)  # an old event, late
    run = await claim(runs)
    assert not await runs.adopt_head(run, A, "main")
    assert await runs.adopt_head(run, C, "main")
    assert await states(owner) == [(A, "PUBLISHED"), (C, "RUNNING")]


async def test_cancel_says_what_cannot_be_cancelled(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    with pytest.raises(AppError) as unknown:
        await runs.cancel(ORGANIZATION, uuid4())
    with pytest.raises(AppError) as foreign:
        await runs.cancel(uuid4(), run.id)
    await runs.finish(run, RunState.PUBLISHED)
    with pytest.raises(AppError) as done:
        await runs.cancel(ORGANIZATION, run.id)
    assert [e.value.reason for e in (unknown, foreign, done)] == [
        Reason.NOT_FOUND,
        Reason.NOT_FOUND,
        Reason.WRONG_STATE,
    ]


async def test_what_is_not_in_the_table_is_refused(runs: Runs, db: Database, owner: Owner) -> None:
    await observe(runs, A)
    row = await owner.fetchrow("SELECT * FROM review.runs")
    assert row is not None
    refused = [(s, t) for s in RunState for t in RunState if (s, t) not in ALLOWED]
    async with db.tenant(ORGANIZATION) as connection:
        for source, target in refused:
            with pytest.raises(ValueError, match=f"does not go from {source} to {target}"):
                await move(connection, {**row, "state": source.value}, target)
    assert await states(owner) == [(A, "QUEUED")]
    assert len(refused) > 30
