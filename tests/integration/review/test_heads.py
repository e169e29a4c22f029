"""Which head a run reviews: the host's answer decides, a head gets one review, and what is reported is not changed."""

from datetime import timedelta

import pytest

from services.review.domain import PutBack, Run, RunState
from services.review.runs import Runs
from tests.integration.review.steps import A, B, C, Owner, claim, observe, states


async def report(owner: Owner, run: Run) -> None:
    await owner.execute("UPDATE review.runs SET receipt = '{}' WHERE id = $1", run.id)


async def test_a_run_follows_the_host_to_a_head_without_a_review(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    await runs.finish(await claim(runs), RunState.PUBLISHED)
    await observe(runs, B)
    run = await claim(runs)
    followed = await runs.follow_head(run, C, "main")
    assert followed is not None
    assert followed.head_sha == C
    assert await states(owner) == [(A, "PUBLISHED"), (C, "RUNNING")]


@pytest.mark.parametrize("end", [RunState.PUBLISHED, RunState.CANCELLED])
async def test_a_late_event_does_not_have_a_head_reviewed_again(runs: Runs, owner: Owner, end: RunState) -> None:
    await observe(runs, A)
    await runs.finish(await claim(runs), end)
    await observe(runs, B)  # an old event, late
    assert await runs.follow_head(await claim(runs), A, "main") is None
    assert await states(owner) == [(A, end.value), (B, "SUPERSEDED")]


async def test_a_head_that_was_reviewed_while_its_run_waited_is_not_reviewed_again(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await owner.execute("UPDATE review.runs SET must_finish = true")
    await observe(runs, B)
    assert await runs.follow_head(run, B, "main") is not None  # it has read nothing yet, so it takes the newest
    await runs.finish(run, RunState.PUBLISHED)
    assert await runs.follow_head(await claim(runs), B, "main") is None
    assert await states(owner) == [(B, "PUBLISHED"), (B, "SUPERSEDED")]


async def test_a_run_that_finds_a_newer_head_leaves_it_to_the_run_that_waits(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await observe(runs, B)
    assert await runs.follow_head(run, B, "main") is None
    assert await states(owner) == [(A, "SUPERSEDED"), (B, "QUEUED")]


async def test_a_run_with_a_report_keeps_its_head_and_another_takes_its_place(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await report(owner, run)
    await runs.put_back(run, PutBack.WAIT, "rate limit", timedelta())
    assert await runs.follow_head(await claim(runs), B, "main") is None
    assert await states(owner) == [(A, "SUPERSEDED"), (B, "QUEUED")]


async def test_a_push_replaces_a_waiting_run_that_has_a_report_and_keeps_its_wait(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await report(owner, run)
    await runs.put_back(run, PutBack.WAIT, "rate limit", timedelta(hours=1))
    await observe(runs, B)
    assert await states(owner) == [(A, "SUPERSEDED"), (B, "QUEUED")]
    assert await runs.claim("test") is None


async def test_a_run_with_a_report_that_stops_for_a_close_leaves_the_question_to_another(
    runs: Runs, owner: Owner
) -> None:
    """Its publication may have been ended as closed: under the same run it would stay so when it is open again."""
    await observe(runs, A)
    run = await claim(runs)
    await report(owner, run)
    await observe(runs, A, action="closed")
    await runs.put_back(run, PutBack.RELEASE, "", timedelta())
    assert await states(owner) == [(A, "SUPERSEDED"), (A, "QUEUED")]
    assert (await claim(runs)).id != run.id


async def test_a_run_that_must_finish_keeps_the_head_it_has_reported_on(runs: Runs, owner: Owner) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await report(owner, run)
    await owner.execute("UPDATE review.runs SET must_finish = true")
    await observe(runs, B)
    kept = await runs.follow_head(run, B, "main")
    assert kept is not None
    assert (kept.head_sha, kept.must_finish) == (A, True)
