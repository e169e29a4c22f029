"""From outbox to inbox on a real database: lost, doubled, refused, forged, crashed; each envelope arrives once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from lintel.events.v1 import pull_request_pb2

from services.kit.bus.in_process import InProcessBus
from services.kit.bus.port import Accept, Envelope, Reject
from services.kit.bus.wire import PULL_REQUEST_CHANGED, open_envelope, seal
from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from services.kit.postgres import inbox, outbox
from services.kit.postgres.outbox import Relay
from services.kit.postgres.pool import Database as Pool
from tests.support.postgres import Database

ORGANIZATION = uuid4()


@dataclass
class MaliciousBus:
    """Passes envelopes to the inbox, or loses, doubles, refuses or misreports them, as the test says."""

    accept: Accept
    loses: bool = False
    doubles: bool = False
    confirms: bool = True
    refuses: bool = False
    crashes: bool = False
    forged: Sequence[UUID] = ()
    sent: list[UUID] = field(default_factory=list)

    @asynccontextmanager
    async def subscription(self, consumer: str, accept: Accept, reject: Reject | None = None) -> AsyncIterator[None]:
        self.accept = accept
        yield

    def problem(self) -> str | None:
        return None

    async def close(self) -> None:
        pass

    async def publish(self, envelopes: Sequence[Envelope]) -> list[UUID]:
        if self.refuses:
            raise AppError(Reason.UNAVAILABLE, "the broker is away")
        self.sent += [envelope.id for envelope in envelopes]
        if not self.loses:
            await self.accept([*envelopes, *reversed(envelopes)] if self.doubles else envelopes)
        if self.crashes:
            raise ConnectionAbortedError("between publish and commit")
        return [*(envelope.id for envelope in envelopes if self.confirms), *self.forged]


@dataclass
class World:
    """Both sides, and the superuser's view of the tables between them."""

    sender: Pool
    receiver: Pool
    owner: "asyncpg.Connection[asyncpg.Record]"
    bus: MaliciousBus
    relay: Relay

    async def append(self, count: int = 1) -> list[UUID]:
        """Write events in a transaction, as a use case does."""
        made = [seal(ORGANIZATION, PULL_REQUEST_CHANGED, pull_request_pb2.PullRequestChanged()) for _ in range(count)]
        async with self.sender.tenant(ORGANIZATION) as connection:
            for envelope in made:
                await outbox.append(connection, "webhooks", envelope)
        return sorted(envelope.id for envelope in made)

    async def arrived(self) -> list[UUID]:
        return [row["id"] for row in await self.owner.fetch("SELECT id FROM review.inbox ORDER BY id")]

    async def waiting(self) -> list[UUID]:
        found = await self.owner.fetch("SELECT id FROM webhooks.outbox WHERE sent_time IS NULL ORDER BY id")
        return [row["id"] for row in found]

    async def unclosed(self) -> list[UUID]:
        return [row["id"] for row in await self.owner.fetch("SELECT id FROM webhooks.outbox ORDER BY id")]

    async def pass_time(self) -> None:
        """Make every row as old as if a minute and a half had passed."""
        await self.owner.execute(
            "UPDATE webhooks.outbox SET available_at = available_at - interval '90 seconds', "
            "sent_time = sent_time - interval '90 seconds'"
        )


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    sender, receiver = Pool(database.app_dsn, "webhooks"), Pool(database.app_dsn, "review")
    await sender.open()
    await receiver.open()
    owner = await asyncpg.connect(database.owner_dsn)

    async def find_missing(ids: Sequence[UUID]) -> set[UUID]:
        return set(await inbox.find_missing(receiver, "review", ids))

    bus = MaliciousBus(inbox.acceptor(receiver, "review"))
    yield World(sender, receiver, owner, bus, Relay(sender, "webhooks", bus, find_missing))
    await owner.close()
    await sender.close()
    await receiver.close()


async def test_an_event_arrives_once_and_its_row_goes_when_the_receiver_says_so(world: World) -> None:
    ids = await world.append(3)
    assert not await world.relay.send()
    assert await world.arrived() == ids
    assert (await world.waiting(), await world.unclosed()) == ([], ids)
    assert not await world.relay.close_received()  # too soon to ask
    assert await world.unclosed() == ids
    await world.pass_time()
    assert not await world.relay.close_received()
    assert await world.unclosed() == []


async def test_an_event_of_a_transaction_that_fails_is_never_sent(world: World) -> None:
    envelope = seal(ORGANIZATION, PULL_REQUEST_CHANGED, pull_request_pb2.PullRequestChanged())
    with pytest.raises(RuntimeError):
        async with world.sender.tenant(ORGANIZATION) as connection:
            await outbox.append(connection, "webhooks", envelope)
            raise RuntimeError
    await world.relay.send()
    assert world.bus.sent == []


async def test_what_the_bus_confirmed_and_lost_is_sent_again(world: World) -> None:
    world.bus.loses = True
    ids = await world.append(2)
    await world.relay.send()
    assert (await world.waiting(), await world.arrived()) == ([], [])
    world.bus.loses = False
    await world.pass_time()
    await world.relay.close_received()
    assert await world.waiting() == ids
    await world.relay.send()
    assert await world.arrived() == ids
    await world.pass_time()
    await world.relay.close_received()
    assert await world.unclosed() == []


async def test_what_arrives_twice_is_taken_once(world: World) -> None:
    world.bus.doubles = True
    ids = await world.append(3)
    await world.relay.send()
    await world.bus.accept([Envelope(ids[0], ORGANIZATION, PULL_REQUEST_CHANGED, b"a forged second one")])
    assert await world.arrived() == ids
    stored = await world.owner.fetchval("SELECT envelope FROM review.inbox WHERE id = $1", ids[0])
    assert open_envelope(stored)[0] == pull_request_pb2.PullRequestChanged()


@pytest.mark.parametrize("how", ["refuses", "confirms"])
async def test_what_is_not_confirmed_waits_longer_each_time(world: World, how: str) -> None:
    setattr(world.bus, how, how == "refuses")
    ids = await world.append()
    delays = []
    for _ in range(9):
        assert not await world.relay.send()
        assert await world.waiting() == ids
        row = await world.owner.fetchrow(
            "SELECT attempts, available_at - clock_timestamp() AS delay FROM webhooks.outbox"
        )
        assert row is not None
        delays.append(row["delay"])
        await world.pass_time()
    longest = 5 if how == "refuses" else 60  # a bus that takes nothing at all is asked again soon
    expected = [timedelta(seconds=min(2**n, longest)) for n in range(9)]
    for delay, most in zip(delays, expected, strict=True):
        assert most / 2 - timedelta(seconds=1) < delay <= most * 1.25  # spread, and some of it has passed since
    setattr(world.bus, how, how != "refuses")
    await world.relay.send()
    assert await world.arrived() == ids


async def test_a_row_that_waits_is_left_alone(world: World) -> None:
    world.bus.refuses = True
    await world.append()
    await world.relay.send()
    world.bus.refuses = False
    await world.relay.send()
    assert world.bus.sent == []


async def test_a_crash_between_publish_and_commit_sends_again_and_is_taken_once(world: World) -> None:
    world.bus.crashes = True
    ids = await world.append(2)
    with pytest.raises(ConnectionAbortedError):
        await world.relay.send()
    assert await world.waiting() == await world.arrived() == ids
    world.bus.crashes = False
    await world.relay.send()
    assert sorted(world.bus.sent) == sorted(ids * 2)
    assert (await world.waiting(), await world.arrived()) == ([], ids)


async def test_a_bus_can_not_confirm_what_it_was_not_given(world: World) -> None:
    world.bus.refuses = True
    (late,) = await world.append()
    await world.relay.send()
    world.bus.refuses = False
    world.bus.forged = [late, uuid4()]
    (now,) = await world.append()
    await world.relay.send()
    assert world.bus.sent == [now]
    assert await world.waiting() == [late]


async def test_a_receiver_can_not_speak_of_what_it_was_not_asked(world: World) -> None:
    async def liar(ids: Sequence[UUID]) -> set[UUID]:
        return {*ids, fresh}

    (old,) = await world.append()
    await world.relay.send()
    await world.pass_time()
    (fresh,) = await world.append()
    await world.relay.send()
    await Relay(world.sender, "webhooks", world.bus, liar).close_received()
    assert await world.waiting() == [old]


async def test_while_the_receiver_is_away_nothing_is_closed(world: World) -> None:
    async def away(ids: Sequence[UUID]) -> set[UUID]:
        raise AppError(Reason.UNAVAILABLE)

    ids = await world.append()
    await world.relay.send()
    await world.pass_time()
    with pytest.raises(AppError):
        await Relay(world.sender, "webhooks", world.bus, away).close_received()
    assert await world.unclosed() == ids


async def test_relays_share_the_rows(world: World) -> None:
    ids = await world.append(outbox.BATCH * 2 + 10)

    async def drain() -> None:
        while await world.relay.send():
            pass

    await asyncio.gather(*(drain() for _ in range(4)))
    await drain()
    assert sorted(world.bus.sent) == sorted(ids)
    assert await world.arrived() == sorted(ids)


async def test_full_batches_say_that_there_may_be_more(world: World) -> None:
    await world.append(outbox.BATCH + 1)
    assert await world.relay.send() is True
    assert await world.relay.send() is False


async def test_the_inbox_answers_what_it_lacks(world: World) -> None:
    ids = await world.append(2)
    await world.relay.send()
    strange = new_id()
    assert await inbox.find_missing(world.receiver, "review", [ids[0], strange, ids[1]]) == [strange]
    assert await inbox.find_missing(world.receiver, "review", []) == []


async def test_each_write_wakes_the_next_one_in_line(world: World) -> None:
    heard: dict[str, asyncio.Event] = {name: asyncio.Event() for name in ("webhooks_outbox", "review_inbox")}
    for channel, event in heard.items():
        await world.owner.add_listener(channel, lambda *_, event=event: event.set())
    await world.append()
    await asyncio.wait_for(heard["webhooks_outbox"].wait(), 5)
    assert not heard["review_inbox"].is_set()
    await world.relay.send()
    await asyncio.wait_for(heard["review_inbox"].wait(), 5)


async def test_the_in_process_bus_confirms_what_is_stored() -> None:
    bus = InProcessBus()
    stored: list[Envelope] = []

    async def store(envelopes: Sequence[Envelope]) -> None:
        stored.extend(envelopes)

    one, two = (Envelope(new_id(), ORGANIZATION, topic, b"") for topic in (PULL_REQUEST_CHANGED, "nobody's"))
    async with bus.subscription("review", store):
        assert await bus.publish([two, one]) == [one.id]  # what nobody takes does not hold up the rest
        assert stored == [one]
        with pytest.raises(AppError, match="no role in this process takes nobody's"):
            await bus.publish([two])
    with pytest.raises(AppError, match=r"no role in this process takes pull_request.changed"):
        await bus.publish([one])


async def test_the_in_process_bus_confirms_nothing_that_an_inbox_refused() -> None:
    bus = InProcessBus()

    async def refuse(envelopes: Sequence[Envelope]) -> None:
        raise AppError(Reason.UNAVAILABLE)

    async with bus.subscription("review", refuse):
        with pytest.raises(AppError):
            await bus.publish([Envelope(new_id(), ORGANIZATION, PULL_REQUEST_CHANGED, b"")])


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"\x1a\x07unknown"])
def test_what_is_no_envelope_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not an envelope|unknown topic"):
        open_envelope(data)
