"""Runs on a real Postgres: one in progress and one waiting, superseding, leases, rescue, and the limits of each."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.kit import retries
from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database
from services.review.domain import PutBack, RunState
from services.review.machine import ALLOWED
from services.review.run_store import LeaseLostError, move
from services.review.runs import Runs
from tests.integration.review.steps import ORGANIZATION, REF, A, B, C, D, E, Owner, claim, observe, one, states
from tests.support.system import until


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
    assert await runs.heartbeat(run) is None
    await observe(runs, B)
    assert await runs.heartbeat(run) is RunState.SUPERSEDED
    await runs.finish(run, RunState.SUPERSEDED, "newer head")
    assert (await claim(runs)).head_sha == B


async def test_after_three_supersedings_the_run_that_is_on_comes_to_its_end(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    for head in (B, C, D):
        run = await claim(runs)
        await observe(runs, head)
        assert await runs.heartbeat(run) is RunState.SUPERSEDED
        await runs.finish(run, RunState.SUPERSEDED)
    run = await claim(runs)
    await observe(runs, E)
    assert await runs.heartbeat(run) is None
    assert run.must_finish
    await runs.finish(run, RunState.PUBLISHED)
    run = await claim(runs)  # and the count begins anew
    await observe(runs, A[:-1] + "0")
    assert await runs.heartbeat(run) is RunState.SUPERSEDED


async def test_after_ten_minutes_of_superseding_the_run_that_is_on_comes_to_its_end(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await owner.execute("UPDATE review.pull_requests SET superseding_since = clock_timestamp() - interval '11 minutes'")
    await observe(runs, B)
    assert await runs.heartbeat(run) is None
    assert not run.must_finish
    assert (await runs.refresh(run)).must_finish


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


async def test_closing_has_the_host_asked_again_and_ends_nothing_by_itself(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    await observe(runs, A, action="closed")  # perhaps late: it may be open again
    run = await claim(runs)
    await observe(runs, A, action="closed")
    assert await runs.heartbeat(run) is RunState.QUEUED
    await runs.put_back(run, PutBack.RELEASE, "closed", timedelta())
    again = await claim(runs)
    assert (again.id, await runs.heartbeat(again)) == (run.id, None)


async def test_a_close_of_what_nobody_reviews_does_nothing(runs: Runs, owner: Owner) -> None:
    await observe(runs, A, action="closed")
    assert await states(owner) == []


async def test_the_epoch_rises_with_each_claim_and_fences_the_old_worker(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    first = await claim(runs)
    await expire(owner)
    assert await runs.rescue()
    await due(owner)
    second = await claim(runs)
    assert (second.id, second.epoch) == (first.id, first.epoch + 1)
    for attempt in (runs.heartbeat(first), runs.finish(first, RunState.PUBLISHED), runs.follow_head(first, B, "main")):
        with pytest.raises(LeaseLostError):
            await attempt
    with pytest.raises(LeaseLostError):
        await runs.put_back(first, PutBack.ERROR, "late", timedelta())
    assert await states(owner) == [(A, "RUNNING")]


async def test_a_lease_that_lasts_is_not_rescued(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    await claim(runs)
    assert not await runs.rescue()


async def test_crashes_errors_and_waits_are_counted_apart(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    for kind in (PutBack.ERROR, PutBack.WAIT, PutBack.WAIT, PutBack.RELEASE):
        await runs.put_back(await claim(runs), kind, "why", timedelta())
    await claim(runs)
    await expire(owner)
    await runs.rescue()
    row = await one(owner, "SELECT errors, crashes, waits, state FROM review.runs")
    assert tuple(row) == (1, 1, 2, "QUEUED")


async def test_spent_errors_fail_the_run_with_the_reason(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    for _ in range(retries.RUN_ERROR.attempts):
        await runs.put_back(await claim(runs), PutBack.ERROR, "the host is down", timedelta())
    row = await one(owner, "SELECT state, state_reason FROM review.runs")
    assert tuple(row) == ("FAILED", f"the host is down (after {retries.RUN_ERROR.attempts} attempts)")


async def test_spent_crashes_fail_the_run(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    for _ in range(retries.RUN_CRASH.attempts):
        await due(owner)
        await claim(runs)
        await expire(owner)
        assert await runs.rescue()
    assert await states(owner) == [(A, "FAILED")]


async def test_waits_do_not_fail_a_run_before_a_day_of_them_is_over(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    await owner.execute("UPDATE review.runs SET create_time = create_time - interval '25 hours'")  # a long queue
    for _ in range(20):
        await runs.put_back(await claim(runs), PutBack.WAIT, "rate limit", timedelta())
    await owner.execute("UPDATE review.runs SET wait_since = wait_since - interval '25 hours'")
    await runs.put_back(await claim(runs), PutBack.WAIT, "rate limit", timedelta())
    row = await one(owner, "SELECT state, state_reason FROM review.runs")
    assert tuple(row) == ("FAILED", "rate limit (for more than a day)")


async def test_a_run_that_goes_back_while_a_newer_head_waits_is_superseded(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await owner.execute("UPDATE review.pull_requests SET superseded_count = 99")  # it is told to finish
    await observe(runs, B)
    await runs.put_back(run, PutBack.ERROR, "why", timedelta())
    assert await states(owner) == [(A, "SUPERSEDED"), (B, "QUEUED")]


async def test_a_rescued_run_that_was_told_to_stop_stops(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await runs.cancel(ORGANIZATION, run.id)
    await expire(owner)
    await runs.rescue()
    assert await states(owner) == [(A, "CANCELLED")]


@pytest.mark.parametrize("end", [RunState.COMPLETED, RunState.SUPERSEDED, RunState.FAILED])
async def test_an_event_of_its_own_head_while_a_run_is_on_is_not_lost_with_it(
    runs: Runs, owner: Owner, end: RunState
) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await observe(runs, A, action="reopened")  # after the run asked the host, before it ended
    await runs.finish(run, end)
    assert await states(owner) == [(A, end.value), (A, "QUEUED")]
    await runs.finish(await claim(runs), end)
    assert await states(owner) == [(A, end.value)] * 2  # each event once


async def test_an_event_of_a_head_that_is_published_meanwhile_begins_nothing(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await observe(runs, A)
    await runs.finish(run, RunState.PUBLISHED)
    assert await states(owner) == [(A, "PUBLISHED")]


async def test_a_row_of_supersedings_is_over_when_none_waits(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    for head in (B, C, D):
        run = await claim(runs)
        await observe(runs, head)
        await runs.put_back(run, PutBack.RELEASE, "", timedelta())
    await runs.finish(await claim(runs), RunState.SUPERSEDED, "the pull request is closed")
    await observe(runs, D, action="reopened")
    assert not (await claim(runs)).must_finish


async def test_a_locked_pull_request_does_not_hide_the_runs_behind_it(runs: Runs, db: Database, owner: Owner) -> None:
    for number in (1, 2):
        await observe(runs, A, ref=replace(REF, number=number))
    async with owner.transaction():
        await owner.execute("SELECT FROM review.pull_requests WHERE number = 1 FOR UPDATE")
        assert (await claim(runs)).ref.number == 2


async def test_a_claimer_that_lost_a_race_takes_the_next(runs: Runs, owner: Owner) -> None:
    """Its look found a run that was taken before its lock: the one behind that is taken all the same."""
    for number in (1, 2):
        await observe(runs, A, ref=replace(REF, number=number))
    # The look goes on only while nobody holds this lock, with the rows as they were when it began.
    await owner.execute(
        "CREATE FUNCTION review.wait() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1); RETURN true; END $$; "
        "ALTER POLICY queue ON review.runs USING (review.wait()); SELECT pg_advisory_lock(1)"
    )
    claiming = asyncio.create_task(claim(runs))

    async def is_looking() -> bool:
        return bool(await owner.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))

    await until(is_looking, seconds=10)
    await owner.execute(
        "UPDATE review.runs SET state = 'RUNNING', lease_expire_time = clock_timestamp() + interval '1 minute' "
        "WHERE pull_request_id = (SELECT id FROM review.pull_requests WHERE number = 1)"
    )
    await owner.execute("SELECT pg_advisory_unlock(1)")
    assert (await claiming).ref.number == 2


async def test_a_person_stops_a_run_that_must_finish_or_was_superseded(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await observe(runs, B)
    await owner.execute("UPDATE review.runs SET must_finish = true WHERE state = 'RUNNING'")
    await runs.cancel(ORGANIZATION, run.id)
    assert await runs.heartbeat(run) is RunState.CANCELLED
    await runs.put_back(run, PutBack.RELEASE, "", timedelta())
    row = await one(owner, "SELECT state, state_reason FROM review.runs ORDER BY id LIMIT 1")
    assert tuple(row) == ("CANCELLED", "cancelled by a person")


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
