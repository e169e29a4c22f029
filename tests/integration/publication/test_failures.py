"""A host that refuses, limits, breaks or lies: the outcome is told, and after it heals one review is there."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.webhooks.publications import FIRST_DELAY, LONGEST_DELAY, Outcome
from tests.integration.publication.world import World, finding

FIRST = (finding("a", 5), finding("b", 31, start=29))
CALLS = {
    "list": "pulls/list-reviews",
    "account": "users/get-authenticated",
    "get": "pulls/get",
    "create": "pulls/create-review",
    "submit": "pulls/submit-review",
    "edit": "pulls/update-review",
}
WRITES = ("create", "submit", "edit")
TOUCHED = ("get", *WRITES)
REFUSALS = {401: "Renew it", 403: "Grant the token", 404: "Grant it"}


async def head_of(world: World, call: str) -> str:
    """The head to review; an edit needs a summary that is there already."""
    if call == "edit":
        assert (await world.publish(world.run(world.emulator.pull(1).head_sha, 1, *FIRST))).outcome is Outcome.PUBLISHED
        await world.emulator.set_head(1, "topic-2")
    return world.emulator.pull(1).head_sha


def one_review(world: World) -> None:
    assert len(world.shown) == 1 and world.comments == ["a", "b"]
    assert world.emulator.reviews(1, pending=True) == []


@pytest.mark.parametrize("status", sorted(REFUSALS))
@pytest.mark.parametrize("call", ("account", *TOUCHED))
async def test_refusals_end_with_what_to_grant(world: World, call: str, status: int) -> None:
    run = world.run(await head_of(world, call), 2, *FIRST)
    world.emulator.fail(CALLS[call], status=status, times=99)
    result = await world.publish(run)
    assert result.outcome is Outcome.REJECTED and REFUSALS[status] in result.reason
    assert await world.publish(run) == result
    world.emulator.heal()
    assert (await world.settle(world.run(run.head_sha, 3, *FIRST))).outcome is Outcome.PUBLISHED
    one_review(world)


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {"Retry-After": "30"}), (403, {"x-ratelimit-remaining": "0"}), (429, {})],
)
@pytest.mark.parametrize("call", ("list", "create", "submit", "edit"))
async def test_limits_are_handed_back_with_their_time(
    world: World, call: str, headers: dict[str, str], status: int
) -> None:
    run = world.run(await head_of(world, call), 2, *FIRST)
    body = {"message": "You have exceeded a secondary rate limit."}
    if "x-ratelimit-remaining" in headers:
        headers = {**headers, "x-ratelimit-reset": str(int(datetime.now(UTC).timestamp()) + 60)}
    world.emulator.fail(CALLS[call], status=status, headers=headers, body=body)
    asked = datetime.now(UTC)
    result = await world.publish(run)
    assert result.outcome is Outcome.PENDING and result.retry_time is not None and "wait" in result.reason
    waited = result.retry_time - asked
    wanted = timedelta(seconds=30) if "Retry-After" in headers else timedelta(seconds=60)
    assert wanted - timedelta(seconds=2) < waited < wanted + timedelta(seconds=10)
    assert "IN_DOUBT" not in (await world.effects(run)).values()
    assert (await world.settle(run)).outcome is Outcome.PUBLISHED
    one_review(world)


@pytest.mark.parametrize(
    ("order", "when"),
    [
        ({"status": 500}, "before"),
        ({"status": 502}, "after"),
        ({"action": "close"}, "before"),
        ({"action": "close"}, "after"),
    ],
)
@pytest.mark.parametrize("call", TOUCHED)
async def test_outages_and_lost_answers(world: World, call: str, order: dict[str, Any], when: str) -> None:
    run = world.run(await head_of(world, call), 2, *FIRST)
    failure = world.emulator.fail(CALLS[call], when=when, **order)  # type: ignore[arg-type]
    asked = datetime.now(UTC)
    result = await world.publish(run)
    assert failure.hits == 1 and result.outcome is Outcome.PENDING and result.retry_time is not None
    assert result.retry_time - asked < FIRST_DELAY + timedelta(seconds=10)
    if call in WRITES:
        assert "may have taken effect" in result.reason and "IN_DOUBT" in (await world.effects(run)).values()
    assert (await world.settle(run)).outcome is Outcome.PUBLISHED
    one_review(world)


async def test_a_silent_host_is_given_up_and_asked_again(world: World) -> None:
    world.seconds = 0.3
    run = world.run(world.emulator.pull(1).head_sha, 1, *FIRST)
    stall = world.emulator.fail(CALLS["submit"], action="stall")
    result = await world.publish(run)
    assert result.outcome is Outcome.PENDING and "may have taken effect" in result.reason and stall.hits == 1
    stall.release()
    world.seconds = 5
    assert (await world.settle(run)).outcome is Outcome.PUBLISHED
    one_review(world)


async def test_delays_grow_and_stay_bounded(world: World) -> None:
    run = world.run(world.emulator.pull(1).head_sha, 1, *FIRST)
    world.emulator.fail(CALLS["get"], status=503, times=99)
    waits = []
    for _ in range(10):
        result = await world.publish(run)
        assert result.outcome is Outcome.PENDING and result.retry_time
        waits.append(result.retry_time - datetime.now(UTC))
    assert all(later > earlier for earlier, later in itertools.pairwise(waits[:7]))
    assert waits[0] < FIRST_DELAY < waits[1] and LONGEST_DELAY - timedelta(seconds=5) < waits[-1] <= LONGEST_DELAY
    world.emulator.heal()
    assert (await world.settle(run)).outcome is Outcome.PUBLISHED
    one_review(world)


async def test_a_draft_that_somebody_dropped_is_written_again(world: World) -> None:
    run = world.run(world.emulator.pull(1).head_sha, 1, *FIRST)
    world.emulator.fail(CALLS["submit"], status=502)
    assert (await world.publish(run)).outcome is Outcome.PENDING
    state = world.emulator._host.state
    state.reviews.clear()
    state.comments.clear()
    assert (await world.settle(run)).outcome is Outcome.PUBLISHED
    one_review(world)


async def test_a_refusal_nobody_understands_ends_with_the_hosts_words(world: World) -> None:
    run = world.run(world.emulator.pull(1).head_sha, 1)
    world.emulator.fail(CALLS["create"], status=422, body={"message": "Nope", "errors": ["quite odd"]}, times=99)
    result = await world.publish(run)
    assert result.outcome is Outcome.REJECTED and "quite odd" in result.reason
    assert world.shown == []


async def test_a_refusal_of_everything_in_place_still_posts_the_summary(world: World) -> None:
    run = world.run(world.emulator.pull(1).head_sha, 1, *FIRST)
    world.emulator.fail(CALLS["create"], status=422, body={"message": "Nope", "errors": ["quite odd"]}, times=3)
    result = await world.publish(run)
    assert result.outcome is Outcome.PUBLISHED and result.demoted == 2
    assert "Finding a" in world.shown[0].body and world.comments == []


async def test_read_only_and_revoked_tokens(world: World) -> None:
    run = world.run(world.emulator.pull(1).head_sha, 1, *FIRST)
    world.emulator.archive()
    result = await world.publish(run)
    assert result.outcome is Outcome.REJECTED and "archived" in result.reason
    world.emulator.archive(False)
    world.emulator.revoke("ghs_123_token-of-the-tests")
    result = await world.publish(world.run(run.head_sha, 2, *FIRST))
    assert result.outcome is Outcome.REJECTED and "Renew" in result.reason and "ghs_" not in result.reason
    assert world.shown == []
