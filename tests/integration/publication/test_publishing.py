"""What a run leaves on the host when nothing goes wrong, and when the world moves under it."""

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from services.kit.errors import AppError, Reason
from services.kit.telemetry import metrics
from services.webhooks.hosts.base import InlineComment, Mark, MarkKind, PullRequestRef, StaticToken
from services.webhooks.hosts.github.client import Client
from services.webhooks.publications import Outcome, PublishRequest, PublishResult
from tests.integration.publication.world import REF, TOKEN, At, World, finding

_FOLDER = Path(__file__).resolve().parents[3] / "migrations/postgres/webhooks"
MIGRATIONS = [(_FOLDER / f"0002_ledger.{part}.sql").read_text() for part in ("down", "pre")]
FIRST = (finding("a", 5), finding("b", 31, start=29))


async def published(world: World, request: PublishRequest) -> PublishResult:
    result = await world.publish(request)
    assert result.outcome is Outcome.PUBLISHED and result.url.startswith("http") and not result.reason
    assert world.emulator.reviews(1, pending=True) == []
    return result


def head(world: World) -> str:
    return world.emulator.pull(1).head_sha


async def test_the_first_head_gets_one_review_with_summary_and_findings(world: World) -> None:
    run = world.run(head(world), 1, *FIRST)
    first = await published(world, run)
    (review,) = world.shown
    assert review.body.startswith("## Summary of") and review.state == "COMMENTED" and review.commit_id == run.head_sha
    assert world.comments == ["a", "b"]
    assert await world.effects(run) == {"SUMMARY_REVIEW": "POSTED"}
    assert [request.operation for request in world.emulator.requests] == [
        *("users/get-authenticated", "pulls/list-reviews", "pulls/get", "pulls/create-review", "pulls/get"),
        "pulls/submit-review",
    ]
    calls = len(world.emulator.requests)
    assert await world.publish(run) == first
    assert await world.publish(world.next(run)) == first
    assert len(world.emulator.requests) == calls  # what is done is answered from the ledger


async def test_no_findings_still_say_so(world: World) -> None:
    await published(world, world.run(head(world), 1))
    assert len(world.shown) == 1 and world.comments == []


async def test_later_heads_edit_the_summary_and_add_only_what_is_new(world: World) -> None:
    await published(world, world.run(head(world), 1, *FIRST))
    await world.emulator.set_head(1, "topic-2")
    second = world.run(head(world), 2, *FIRST, finding("c", 55))
    await published(world, second)
    summary, added = world.shown
    assert summary.body.startswith(f"## Summary of {second.head_sha[:7]}")
    assert added.body.startswith("1 new finding at") and world.comments == ["a", "b", "c"]
    assert await world.effects(second) == {"FINDINGS_REVIEW": "POSTED", "SUMMARY_EDIT": "POSTED"}
    await world.emulator.set_head(1, "topic-3")
    third = world.run(head(world), 3, FIRST[0], finding("c", 55))
    result = await published(world, third)
    assert len(world.shown) == 2 and world.comments == ["a", "b", "c"]
    assert world.shown[0].body.startswith(f"## Summary of {third.head_sha[:7]}")
    assert result.url.endswith(str(summary.id)) or str(summary.id) in result.url


async def test_the_first_call_freezes_the_items(world: World) -> None:
    run = world.run(head(world), 1, *FIRST)
    assert await world.crash(run, 0)
    changed = replace(run, summary="another", findings=(finding("z", 5),), epoch=2)
    await published(world, changed)
    assert world.comments == ["a", "b"] and "another" not in world.shown[0].body


async def test_what_the_host_does_not_take_is_told_in_the_summary(world: World) -> None:
    bad = [finding("x", 15), finding("y", 3, path="nowhere.py"), finding("z", 31, start=5), finding("w", 0)]
    run = world.run(head(world), 1, bad[0], FIRST[0], bad[1], bad[2], FIRST[1], bad[3])
    result = await published(world, run)
    assert result.demoted == 4 and world.comments == ["a", "b"]
    body = world.shown[0].body
    assert all(text in body for text in ("`wide.py:15`", "`nowhere.py:3`", "`wide.py:5-31`", "`wide.py:0`"))
    assert all(f"Finding {name}" in body for name in "xyzw") and "Finding a" not in body
    creations = world.emulator.calls("pulls/create-review")
    assert len(creations) <= 14
    await world.emulator.set_head(1, "topic-2")
    again = world.run(head(world), 2, *FIRST, bad[0])
    result = await published(world, again)
    assert result.demoted == 1 and len(world.shown) == 1
    assert "Finding x" in world.shown[0].body and await world.effects(again) == {
        "FINDINGS_REVIEW": "REJECTED",
        "SUMMARY_EDIT": "POSTED",
    }


async def test_a_search_for_bad_lines_is_bounded(world: World) -> None:
    findings = [finding(f"n{n}", 5 if n % 2 else 15) for n in range(120)]
    result = await published(world, world.run(head(world), 1, *findings))
    assert len(world.emulator.calls("pulls/create-review")) <= 1 + 24 + 1
    assert result.demoted + len(world.comments) == 120 and result.demoted >= 60


async def test_twins_are_posted_once(world: World) -> None:
    await published(world, world.run(head(world), 1, *FIRST, *FIRST))
    assert world.comments == ["a", "b"]


STEPS = ("fence", "doubt draft", "create", "record draft", "fence epoch")
CHANGES = [("push", step) for step in STEPS] + [
    (change, step) for change in ("rewrite", "close", "retarget") for step in ("create", "record draft")
]


@pytest.mark.parametrize(("change", "step"), CHANGES)
async def test_a_change_while_publishing_leaves_nothing_of_the_old_run(world: World, step: str, change: str) -> None:
    async def act() -> None:
        if change == "push":
            await world.emulator.set_head(1, "topic-2")
        elif change == "rewrite":
            await world.emulator.set_head(1, "rewritten")
        elif change == "close":
            world.emulator.close(1)
        else:
            await world.emulator.set_base(1, "main", base_ref="release")

    run = world.run(head(world), 1, *FIRST)
    result = await world.publish(run, At(step, act))
    assert result.outcome is Outcome.SUPERSEDED and result.reason
    assert world.shown == [] and world.emulator.reviews(1, pending=True) == []
    assert await world.effects(run) == {"SUMMARY_REVIEW": "REJECTED"}
    assert (await world.publish(world.next(run))).outcome is Outcome.SUPERSEDED
    if change in ("push", "rewrite"):
        await published(world, world.run(head(world), 3, finding("a", 5)))
        assert len(world.shown) == 1


async def test_a_run_told_to_finish_does_so_on_a_head_that_moved(world: World) -> None:
    run = replace(world.run(head(world), 1, *FIRST), head_may_have_moved=True)
    await world.emulator.set_head(1, "topic-2")
    await published(world, run)
    assert world.shown[0].commit_id == run.head_sha and world.comments == ["a", "b"]


async def test_a_run_told_to_finish_does_so_when_its_commit_is_gone(world: World) -> None:
    run = replace(world.run(head(world), 1, *FIRST), head_may_have_moved=True)
    await world.emulator.set_head(1, "rewritten")
    result = await published(world, run)
    assert result.demoted == 2 and world.comments == [] and "Finding a" in world.shown[0].body


async def test_a_lower_epoch_is_refused_before_and_while_it_works(world: World) -> None:
    old, new = world.run(head(world), 1, *FIRST), world.run(head(world), 2, finding("a", 5))
    await published(world, new)
    calls = len(world.emulator.requests)
    with pytest.raises(AppError) as caught:
        await world.publish(old)
    assert caught.value.reason is Reason.FENCED and len(world.emulator.requests) == calls

    late, later = (
        world.run(head(world), 3, finding("q", 30)),
        world.run(head(world), 4, finding("q", 30), finding("r", 30)),
    )

    async def overtake() -> None:
        assert (await world.publish(later)).outcome is Outcome.PENDING  # the lease is still held

    with pytest.raises(AppError) as caught:
        await world.publish(late, At("submit", overtake))
    assert caught.value.reason is Reason.FENCED
    # The fenced run was past its last fence: what it posted is found by its mark, and not said again.
    result = await world.settle(later)
    assert result.outcome is Outcome.PUBLISHED and world.comments == ["a", "q", "r"]
    assert await world.effects(late) == {"FINDINGS_REVIEW": "POSTED", "SUMMARY_EDIT": "PLANNED"}


async def test_one_pull_request_at_a_time(world: World) -> None:
    run = world.run(head(world), 1, *FIRST)
    results = await asyncio.gather(*(world.publish(run) for _ in range(6)))
    assert {result.outcome for result in results} <= {Outcome.PUBLISHED, Outcome.PENDING}
    assert all(result.retry_time for result in results if result.outcome is Outcome.PENDING)
    assert (await world.settle(run)).outcome is Outcome.PUBLISHED
    assert len(world.shown) == 1 and world.comments == ["a", "b"]


async def test_a_stale_draft_of_ours_is_deleted_first(world: World) -> None:
    comment = InlineComment("wide.py", False, 5, 5, "old", Mark(MarkKind.FINDING, "old"))
    await world.host.create_draft(REF, head(world), "old", Mark(MarkKind.SUMMARY, "deadbeef.1"), [comment])
    await published(world, world.run(head(world), 1, *FIRST))
    assert len(world.shown) == 1 and world.comments == ["a", "b"]


async def test_a_draft_that_a_person_writes_with_our_account_is_left_alone(world: World) -> None:

    client = Client(StaticToken(TOKEN), world.emulator.url)
    await client.write("POST", "/repos/acme/shop/pulls/1/reviews", {"body": "my own unfinished thoughts"})
    run = world.run(head(world), 1, *FIRST)
    result = await world.publish(run)
    assert result.outcome is Outcome.PENDING and "unfinished review" in result.reason
    (theirs,) = world.emulator.reviews(1, pending=True)
    assert theirs.body == "my own unfinished thoughts"
    await client.write("DELETE", f"/repos/acme/shop/pulls/1/reviews/{theirs.id}")
    await client.close()
    await published(world, run)


async def test_a_mark_pasted_by_someone_else_changes_nothing(world: World) -> None:

    await published(world, world.run(head(world), 1, *FIRST))
    stolen = world.shown[0].body
    await world.forget()
    world.emulator.add_user("mallory", "token-of-mallory")
    client = Client(StaticToken("token-of-mallory"), world.emulator.url)
    mine = {"body": stolen, "event": "COMMENT"}
    await client.write("POST", "/repos/acme/shop/pulls/1/reviews", mine)
    await client.close()
    await world.emulator.set_head(1, "topic-2")
    await published(world, world.run(head(world), 2, *FIRST))
    ours, theirs = world.shown
    assert theirs.body == stolen and ours.body != stolen and world.comments == ["a", "b"]


async def test_a_lost_database_is_made_good_from_our_marks(world: World) -> None:
    await published(world, world.run(head(world), 1, *FIRST))
    await world.forget()
    await world.emulator.set_head(1, "topic-2")
    await published(world, world.run(head(world), 1, *FIRST, finding("c", 55)))
    assert len(world.shown) == 2 and world.comments == ["a", "b", "c"]


async def test_two_of_our_own_are_brought_down_to_one(world: World) -> None:
    await published(world, world.run(head(world), 1, *FIRST))
    comment = InlineComment("wide.py", False, 5, 5, "Finding a: again", Mark(MarkKind.FINDING, "again"))
    draft = await world.host.create_draft(REF, head(world), "twice", Mark(MarkKind.SUMMARY, "deadbeef.1"), [comment])
    await world.host.submit_draft(REF, draft.id)
    before = metrics.DUPLICATES_REMOVED._value.get()
    await world.emulator.set_head(1, "topic-2")
    await published(world, world.run(head(world), 2, *FIRST))
    assert metrics.DUPLICATES_REMOVED._value.get() == before + 1
    assert world.comments == ["a", "b"] and "taken back" in world.shown[1].body


async def test_a_summary_whose_mark_a_person_removed_is_still_known(world: World) -> None:
    await published(world, world.run(head(world), 1, *FIRST))
    world.shown[0].body = "edited by a maintainer"
    await world.emulator.set_head(1, "topic-2")
    await published(world, world.run(head(world), 2, *FIRST))
    assert len(world.shown) == 1 and world.shown[0].body.startswith("## Summary of")


async def test_a_run_belongs_to_one_pull_request_and_one_organisation(world: World) -> None:
    run = world.run(head(world), 1, *FIRST)
    await published(world, run)
    with pytest.raises(AppError) as caught:
        await world.publish(replace(run, ref=PullRequestRef("github", "", "4711", "acme/shop", 2)))
    assert caught.value.reason is Reason.WRONG_STATE
    async with world.database.tenant(uuid.uuid4()) as connection:
        for table in ("publication_fences", "publications", "effects", "posted_findings"):
            assert await connection.fetchval(f"SELECT count(*) FROM webhooks.{table}") == 0
    async with world.database.tenant(world.organization_id) as connection:
        assert await connection.fetchval("SELECT count(*) FROM webhooks.posted_findings") == 2


async def test_every_character_survives_the_freezing(world: World) -> None:
    summary = "nul \0, bidi \u202e, emoji 🙂, CRLF \r\n" + "long " * 20_000
    odd = replace(finding("a", 5), body="Finding a: \0 ```python\nopen", fingerprint="\0odd")
    await published(world, world.run(head(world), 1, odd, summary=summary))
    assert len(world.shown[0].body) <= 60_000 and world.comments == ["a"]


async def test_the_migration_can_be_taken_back_and_made_again(world: World) -> None:
    for migration in MIGRATIONS:
        await world.owner.execute(migration)
    await published(world, world.run(head(world), 1, *FIRST))
