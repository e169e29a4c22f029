"""What every adapter must do: nothing but what was sent arrives, and what is sent again and again arrives."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from services.kit.bus.in_process import InProcessBus
from services.kit.bus.port import Bus, Envelope
from services.kit.errors import AppError
from services.kit.ids import new_id
from tests.integration.bus.conftest import ORGANIZATION, Inbox, envelope
from tests.support.malicious import MaliciousBus
from tests.support.system import until

HONEST = ("in_process", "rabbit")
SEEDS = (1, 2, 3)
ALL = (*HONEST, *(f"malicious-{seed}" for seed in SEEDS), "malicious-rabbit")


@pytest.fixture
async def in_process() -> AsyncIterator[Bus]:
    bus = InProcessBus()
    yield bus
    await bus.close()


@pytest.fixture
def bus(request: pytest.FixtureRequest) -> Bus:
    kind, _, rest = request.param.partition("-")
    if kind != "malicious":
        found: Bus = request.getfixturevalue(kind)
        return found
    inner = "rabbit" if rest == "rabbit" else "in_process"
    return MaliciousBus(request.getfixturevalue(inner), int(rest) if rest.isdecimal() else 0)


every_bus = pytest.mark.parametrize("bus", ALL, indirect=True)
honest_bus = pytest.mark.parametrize("bus", HONEST, indirect=True)


async def publish(bus: Bus, envelopes: Iterable[Envelope]) -> set[object]:
    try:
        return set(await bus.publish(list(envelopes)))
    except AppError:
        return set()


@every_bus
async def test_what_is_sent_until_the_receiver_has_it_arrives_as_it_was(bus: Bus, inbox: Inbox) -> None:
    sent = {e.id: e for e in (envelope(n) for n in range(120))}

    async def all_arrived() -> bool:
        missing = [e for e in sent.values() if e.id not in inbox.kept]
        if missing:
            await publish(bus, missing)
        return not missing

    async with bus.subscription("review", inbox.accept):
        await until(all_arrived)
    assert inbox.kept == sent
    await bus.close()


@every_bus
async def test_a_topic_that_nobody_takes_never_arrives_and_holds_nothing_up(bus: Bus, inbox: Inbox) -> None:
    nobodys, one = Envelope(new_id(), ORGANIZATION, "nobodys.topic", b""), envelope()

    async def arrived() -> bool:
        await publish(bus, [nobodys, one])
        return one.id in inbox.kept

    async with bus.subscription("review", inbox.accept):
        await until(arrived)
    assert inbox.kept.keys() == {one.id}
    await bus.close()


@every_bus
async def test_after_the_subscription_ends_nothing_is_handed_over(bus: Bus, inbox: Inbox) -> None:
    one, late = envelope(1), envelope(2)

    async def arrived() -> bool:
        await publish(bus, [one])
        return one.id in inbox.kept

    async with bus.subscription("review", inbox.accept):
        await until(arrived)
    given = list(inbox.given)
    await publish(bus, [late])
    await asyncio.gather(*(publish(bus, [late]) for _ in range(3)))
    assert inbox.given == given
    await bus.close()


@honest_bus
async def test_what_is_confirmed_arrives_without_being_sent_again(bus: Bus, inbox: Inbox) -> None:
    sent = [envelope(n) for n in range(120)]
    async with bus.subscription("review", inbox.accept):
        assert await bus.publish(sent) == [e.id for e in sent]
        await inbox.has(*sent)


@honest_bus
async def test_a_topic_that_nobody_takes_is_never_confirmed(bus: Bus, inbox: Inbox) -> None:
    nobodys, one = Envelope(new_id(), ORGANIZATION, "nobodys.topic", b""), envelope()
    async with bus.subscription("review", inbox.accept):
        assert await bus.publish([nobodys, one]) == [one.id]
        with pytest.raises(AppError):
            await bus.publish([nobodys])


@honest_bus
async def test_while_the_inbox_is_away_nothing_is_lost(bus: Bus, inbox: Inbox) -> None:
    sent = [envelope(n) for n in range(5)]
    inbox.away = True
    confirmed: set[object] = set()
    async with bus.subscription("review", inbox.accept):
        confirmed |= await publish(bus, sent)
        await inbox.has_refused()
        inbox.away = False
        while not {e.id for e in sent} <= confirmed:
            confirmed |= await publish(bus, sent)
        await inbox.has(*sent)


@every_bus
async def test_nothing_published_is_nothing_confirmed(bus: Bus) -> None:
    assert not await publish(bus, []) & {None}
    assert bus.problem() in (None, "", "not connected yet")
    await bus.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_malicious_bus_does_all_it_says(seed: int, inbox: Inbox) -> None:
    bus = MaliciousBus(InProcessBus(), seed)
    async with bus.subscription("review", inbox.accept):
        for _ in range(40):
            await publish(bus, [envelope(n) for n in range(10)])
        assert {
            "refused",
            "lost",
            "delayed",
            "doubled",
            "dropped unconfirmed",
            "passed unconfirmed",
        } <= bus.deeds.keys()
    assert len(inbox.given) > len(inbox.kept)
    await bus.close()
