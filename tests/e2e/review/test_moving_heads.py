"""Pushes, closes and limits while a review is on its way: at rest the newest head has one review."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from emulators.github import GitHubEmulator, deliver
from services.webhooks.hosts.github import client
from tests.e2e.review.steps import BAD, EVERY_BUS, open_pull, send
from tests.support.system import SECRET, Repository, System, until


@EVERY_BUS
async def test_two_pushes_while_a_review_runs_leave_one_review_of_the_newest_head(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    hold = emulator.fail("pulls/list-files", action="stall")
    await send(system, emulator, "opened", number)
    await asyncio.wait_for(hold.reached.wait(), 30)
    for text in ("# one\n", "# two\n"):
        head = repository.commit({"tool.py": BAD + text})
        await emulator.set_head(number, head)
        assert await send(system, emulator, "synchronize", number) == 202
    await until(lambda: _no_delivery_waits(system))
    hold.release()
    await system.settled()
    (posted,) = emulator.reviews(number)
    assert head[:12] in posted.body
    states = await system.runs()
    assert states[-1] == (head, "PUBLISHED")
    assert {state for _, state in states[:-1]} <= {"SUPERSEDED"}


@pytest.mark.parametrize(
    ("operation", "of_old"), [("pulls/create-review", True), ("pulls/list-files", False)], ids=["publishing", "reading"]
)
async def test_a_run_that_must_finish_is_told_to_its_end_while_heads_move(
    system: System, emulator: GitHubEmulator, repository: Repository, operation: str, of_old: bool
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    first = repository.git("rev-parse", "HEAD")
    await system.owner.execute(
        "ALTER TABLE review.pull_requests ALTER superseded_count SET DEFAULT 3"  # as after three pushes in a row
    )
    hold = emulator.fail(operation, action="stall")
    await send(system, emulator, "opened", number)
    await asyncio.wait_for(hold.reached.wait(), 30)
    head = repository.commit({"tool.py": BAD + "# one\n"})
    await emulator.set_head(number, head)
    await send(system, emulator, "synchronize", number)
    await until(lambda: _no_delivery_waits(system))
    hold.release()
    await system.settled()
    # What it has read already is published for the head it has; otherwise it reads, and publishes, the newest one.
    expected = [(first, "PUBLISHED"), (head, "PUBLISHED")] if of_old else [(head, "PUBLISHED"), (head, "SUPERSEDED")]
    assert await system.runs() == expected
    (posted,) = emulator.reviews(number)
    assert head[:12] in posted.body
    assert len(emulator.review_comments(number)) == 1


async def test_a_push_while_publishing_waits_for_a_limit_is_reviewed(
    system: System, emulator: GitHubEmulator, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    first = repository.git("rev-parse", "HEAD")
    emulator.fail("pulls/create-review", status=429, headers={"retry-after": "600"})
    await send(system, emulator, "opened", number)
    await until(lambda: _waits(system))
    head = repository.commit({"other.py": BAD.replace("run(", "start(", 1)})
    await emulator.set_head(number, head)
    await send(system, emulator, "synchronize", number)
    await until(lambda: _no_delivery_waits(system))
    assert await system.runs() == [(first, "SUPERSEDED"), (head, "QUEUED")]  # and it waits for the same limit
    monkeypatch.setattr(client, "utc_now", lambda: datetime.now(UTC) + timedelta(minutes=10))  # which is over
    await system.owner.execute("UPDATE review.runs SET available_at = clock_timestamp() WHERE state = 'QUEUED'")
    await system.settled()
    assert (await system.runs())[1] == (head, "PUBLISHED")
    (posted,) = emulator.reviews(number)
    assert head[:12] in posted.body
    assert [c.path for c in emulator.review_comments(number)] == ["other.py", "tool.py"]


async def test_a_pull_request_that_is_open_again_is_reviewed_whatever_order_the_events_come_in(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    hold = emulator.fail("pulls/list-files", action="stall")
    await send(system, emulator, "opened", number)
    await asyncio.wait_for(hold.reached.wait(), 30)
    for action in ("reopened", "closed"):  # it was closed and opened again; the host told it the other way round
        await send(system, emulator, action, number)
        await until(lambda: _no_delivery_waits(system))
    hold.release()
    await system.settled()
    assert [state for _, state in await system.runs()] == ["PUBLISHED"]
    assert len(emulator.reviews(number)) == 1


@EVERY_BUS
async def test_a_later_head_edits_the_summary_and_adds_only_what_is_new(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    await send(system, emulator, "opened", number)
    await system.settled()
    same = repository.commit({"tool.py": "# moved down\n" + BAD})
    await emulator.set_head(number, same)
    await send(system, emulator, "synchronize", number)
    await system.settled()
    (posted,) = emulator.reviews(number)
    assert same[:12] in posted.body
    assert len(emulator.review_comments(number)) == 1

    more = repository.commit({"other.py": BAD.replace("run(", "start(", 1)})
    await emulator.set_head(number, more)
    await send(system, emulator, "synchronize", number)
    await system.settled()
    assert [c.path for c in emulator.review_comments(number)] == ["tool.py", "other.py"]
    assert more[:12] in emulator.reviews(number)[0].body


async def test_a_closed_pull_request_gets_no_review(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    emulator.close(number)
    late = emulator.webhook("synchronize", number, secret=SECRET)
    assert (await deliver(system.github_webhook, late)).status == 202
    await system.settled()
    assert emulator.reviews(number) == []
    assert {state for _, state in await system.runs()} == {"SUPERSEDED"}


async def _no_delivery_waits(system: System) -> bool:
    rows = await system.rows(
        "SELECT FROM webhooks.deliveries WHERE state = 'RECEIVED' UNION ALL "
        "SELECT FROM webhooks.outbox o WHERE NOT EXISTS (SELECT FROM review.inbox i WHERE i.id = o.id) UNION ALL "
        "SELECT FROM review.inbox WHERE state = 'RECEIVED'"
    )
    return not rows


async def _waits(system: System) -> bool:
    return bool(await system.rows("SELECT FROM review.runs WHERE state = 'QUEUED' AND waits > 0"))
