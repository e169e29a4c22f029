"""Webhooks (rows 13-17): taken once, refused when forged, kept when they can't be read."""

import asyncio

import pytest

from services.webhooks.hosts import ADAPTERS
from services.webhooks.hosts.abilities import ABILITIES
from tests.contract.hosts.conformance.steps import BAD, opened, places, told
from tests.contract.hosts.rigs import RIGS, Rig
from tests.support.system import Repository, System


def test_the_table_names_every_adapter_and_every_ability_of_a_rig() -> None:
    assert set(ABILITIES) == set(ADAPTERS) == {rig.name for rig in RIGS.values()}


@pytest.mark.parametrize("rig_name", RIGS, indirect=True)
async def test_a_webhook_becomes_one_review_at_its_lines_and_a_forged_one_nothing(
    system: System, rig: Rig, repository: Repository
) -> None:
    number = await opened(rig, repository, {"tool.py": BAD})
    event = rig.event("opened", number)
    for forged in (
        [*rig.forged(event), event.with_body(event.body + b" ")] if rig.name == "github" else rig.forged(event)
    ):
        assert await rig.send(system.webhook(rig.name), forged) == 401, dict(forged.headers)
    assert await system.rows("SELECT FROM webhooks.deliveries") == []
    answers = await asyncio.gather(*(rig.send(system.webhook(rig.name), event) for _ in range(10)))
    assert sorted(answers) == [200] * 9 + [202]
    assert await told(system, rig, "opened", number) == 202  # another id for the same head
    await system.settled()
    (summary,) = rig.summaries(number)
    assert "tool.py" in summary and "finding" in summary
    assert places(rig, number) == [("tool.py", "RIGHT", 5)]
    assert rig.unseen(number) == 0
    kept = await system.rows("SELECT headers FROM webhooks.deliveries")
    assert len(kept) == 2 and not any(rig.secret in str(row["headers"]) for row in kept)
    (review,) = (await system.api.get("/codeReview")).json()["reviews"]
    assert review["state"] == "published" and review["url"]


async def test_bodies_that_say_nothing_are_kept_as_failed_and_run_again_when_sent_again(
    system: System, rig: Rig
) -> None:
    bodies = (b"{", b"[]", b"\xff\xfe", b'{"a":1,"a":2}', b"[" * 10_000, b"null", b'{"x":NaN}', b'{"x":"\\ud800"}')
    for body in bodies:
        delivery = rig.raw(body)
        assert await rig.send(system.webhook(rig.name), delivery) == 202
        await system.settled()
        assert await rig.send(system.webhook(rig.name), delivery) == 202  # it failed, so it is no duplicate
        await system.settled()
    seen = (await system.api.get("/webhook-health/deliveries")).json()["deliveries"]
    assert [one["state"] for one in seen] == ["failed"] * len(bodies)
    assert all(one["reason"] for one in seen)


async def test_events_that_ask_nothing_are_answered_200(system: System, rig: Rig) -> None:
    others = [rig.raw(b"{}", event) for event in ("Push Hook", "ping", "a" * 300, "x  y")]
    for delivery in (rig.comment_event(1), *others):
        assert await rig.send(system.webhook(rig.name), delivery) == 200
    assert await system.rows("SELECT FROM webhooks.deliveries") == []
