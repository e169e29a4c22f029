"""Relays over a real broker and real tables: several at once, a broker that is restarted, and one without its disk."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
import pytest

from cli.engines.rabbitmq import RabbitMqEngine
from services.kit.bus.address import parse
from services.kit.bus.port import Accept
from services.kit.bus.rabbitmq import RabbitMqBus
from services.kit.bus.topology import Topology
from services.kit.postgres import inbox, outbox
from services.kit.postgres.outbox import Relay
from services.kit.postgres.pool import Database as Pool
from services.kit.worker import Loop, running
from tests.integration.bus.conftest import ORGANIZATION, envelope
from tests.support.postgres import Database
from tests.support.system import until


@dataclass
class World:
    """Two relays in what stand for two processes, one receiver, and the owner's view of the tables between them."""

    sender: Pool
    owner: "asyncpg.Connection[asyncpg.Record]"
    engine: RabbitMqEngine
    receiver: RabbitMqBus
    accept: Accept

    async def append(self, count: int) -> list[UUID]:
        """Write events in a transaction, as a use case does."""
        made = [envelope(n) for n in range(count)]
        async with self.sender.tenant(ORGANIZATION) as connection:
            for each in made:
                await outbox.append(connection, "webhooks", each)
        return sorted(e.id for e in made)

    async def hurry(self) -> None:
        """Let the minute pass after which relays ask, and the pauses of what was refused."""
        await self.owner.execute(
            "UPDATE webhooks.outbox SET available_at = available_at - interval '1 minute', "
            "sent_time = sent_time - interval '1 minute'"
        )

    async def arrived(self, ids: Sequence[UUID]) -> bool:
        """Whether the receiver has exactly these."""
        await self.hurry()
        return [r["id"] for r in await self.owner.fetch("SELECT id FROM review.inbox ORDER BY id")] == sorted(ids)

    async def is_closed(self) -> bool:
        """Whether the outbox is empty."""
        await self.hurry()
        return not await self.owner.fetchval("SELECT count(*) FROM webhooks.outbox")


@pytest.fixture
async def world(
    database: Database, rabbitmq_engine: RabbitMqEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr("services.kit.bus.rabbitmq._CONFIRM_SECONDS", 2.0)
    monkeypatch.setattr("services.kit.bus.consumer._CONSUME_SECONDS", 2.0)
    monkeypatch.setattr("services.kit.bus.consumer._MUTE_TIMES", 1)
    topology = Topology(f"relays-{uuid4().hex}")
    async with AsyncExitStack() as stack:
        sender = await stack.enter_async_context(Pool(database.app_dsn, "webhooks"))
        receiver = await stack.enter_async_context(Pool(database.app_dsn, "review"))
        owner = await asyncpg.connect(database.owner_dsn)
        stack.push_async_callback(owner.close)

        async def find_missing(ids: Sequence[UUID]) -> set[UUID]:
            return set(await inbox.find_missing(receiver, "review", ids))

        loops: list[Loop] = []
        for number in range(2):
            bus = RabbitMqBus(parse(rabbitmq_engine.uri), topology)
            stack.push_async_callback(bus.close)
            relay = Relay(sender, "webhooks", bus, find_missing)
            loops += [
                Loop(f"relay {number}", relay.send, idle=0.1),
                Loop(f"close outbox {number}", relay.close_received, idle=0.1),
            ]
        taking = RabbitMqBus(parse(rabbitmq_engine.uri), topology)
        stack.push_async_callback(taking.close)
        accept = inbox.acceptor(receiver, "review")
        await stack.enter_async_context(running(loops, grace=15))
        yield World(sender, owner, rabbitmq_engine, taking, accept)


async def test_two_relays_share_the_work_and_everything_arrives_once(world: World) -> None:
    async with world.receiver.subscription("review", world.accept):
        ids = await world.append(outbox.BATCH * 3 + 20)
        await until(lambda: world.arrived(ids))
        await until(world.is_closed)


@pytest.mark.parametrize("disk", ["kept", "deleted"])
async def test_what_is_sent_to_a_broker_that_dies_arrives_all_the_same(world: World, disk: str) -> None:
    first = await world.append(150)

    async def all_are_sent() -> bool:
        return not await world.owner.fetchval("SELECT count(*) FROM webhooks.outbox WHERE sent_time IS NULL")

    await until(all_are_sent)  # they are in the queue, confirmed, and nobody takes them yet
    world.engine.kill()
    try:
        if disk == "deleted":
            world.engine.delete_disk()
        second = await world.append(30)
    finally:
        await asyncio.to_thread(world.engine.start)
    async with world.receiver.subscription("review", world.accept):
        await until(lambda: world.arrived([*first, *second]), seconds=90)
        await until(world.is_closed)
