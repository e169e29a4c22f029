"""What only a broker can do: queues that outlive processes, returns, dead letters, restarts, and an empty disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from cli.engines.rabbitmq import RabbitMqEngine
from services.kit.bus.address import parse
from services.kit.bus.port import Envelope
from services.kit.bus.rabbitmq import RabbitMqBus
from services.kit.bus.topology import Topology
from services.kit.bus.wire import PULL_REQUEST_CHANGED
from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from tests.integration.bus.conftest import ORGANIZATION, Inbox, envelope
from tests.support.system import until


@asynccontextmanager
async def operator(uri: str) -> AsyncIterator[AbstractChannel]:
    """A channel of somebody else."""
    connection = await aio_pika.connect(parse(uri))
    async with connection, connection.channel() as channel:
        yield channel


async def waiting(uri: str, queue: str) -> int:
    async with operator(uri) as channel:
        found = await channel.declare_queue(queue, passive=True)
        return found.declaration_result.message_count or 0


async def published(bus: RabbitMqBus, *envelopes: Envelope) -> None:
    """Publish until all are confirmed, as a relay does."""

    async def confirmed() -> bool:
        try:
            return len(await bus.publish(envelopes)) == len(envelopes)
        except AppError:
            return False

    await until(confirmed)


async def test_what_nobody_takes_yet_waits_in_the_queue(rabbit: RabbitMqBus, inbox: Inbox) -> None:
    sent = [envelope(n) for n in range(250)]
    assert await rabbit.publish(sent) == [e.id for e in sent]
    async with rabbit.subscription("review", inbox.accept):
        await inbox.has(*sent)
    assert [inbox.kept[e.id] for e in sent] == sent


async def test_a_message_is_persistent_and_says_what_it_is(
    rabbit: RabbitMqBus, rabbitmq_uri: str, topology: Topology
) -> None:
    one = envelope()
    await rabbit.publish([one])
    async with operator(rabbitmq_uri) as channel:
        queue = await channel.get_queue(topology.queue("review"))
        message = await queue.get()
        assert message is not None
        assert (message.message_id, message.type, message.routing_key) == (str(one.id), one.topic, one.topic)
        assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
        assert message.headers["organization-id"] == str(ORGANIZATION)
        assert message.body == one.data
        await message.ack()


async def test_a_returned_message_is_not_confirmed_and_holds_nothing_up(rabbit: RabbitMqBus, inbox: Inbox) -> None:
    nobodys, one = Envelope(new_id(), ORGANIZATION, "nobodys.topic", b""), envelope()
    assert await rabbit.publish([nobodys, one]) == [one.id]
    with pytest.raises(AppError, match="no queue for it"):
        await rabbit.publish([nobodys])


async def test_a_message_that_a_full_queue_refuses_is_not_confirmed(
    rabbit: RabbitMqBus, rabbitmq_uri: str, topology: Topology
) -> None:
    async with operator(rabbitmq_uri) as channel:
        await topology.declare(channel)
        await channel.queue_delete(topology.queue("review"))
        narrow: dict[str, Any] = {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-max-length": 1}
        queue = await channel.declare_queue(f"{topology.prefix}.narrow", durable=True, arguments=narrow)
        await queue.bind(topology.events, routing_key="narrow")
        few = [Envelope(new_id(), ORGANIZATION, "narrow", b"") for _ in range(60)]

        async def is_full() -> bool:
            try:
                return len(await rabbit.publish(few)) < len(few)
            except AppError as error:
                return "a queue may be full" in error.message

        await until(is_full)
        await channel.queue_delete(queue.name)


async def test_what_can_not_be_read_is_dead_lettered_and_counted(
    rabbit: RabbitMqBus, rabbitmq_uri: str, topology: Topology, inbox: Inbox
) -> None:
    rubbish = [b"\xff\xff", b"", b'{"id": 1}']
    one = envelope()
    recorded: list[tuple[str, bytes, str]] = []

    async def reject(queue: str, data: bytes, reason: str) -> None:
        recorded.append((queue, data, reason))
        if len(recorded) == 1:
            raise AppError(Reason.UNAVAILABLE)  # it is asked again: the row comes before the broker drops it

    async with rabbit.subscription("review", inbox.accept, reject):
        await rabbit.publish([Envelope(new_id(), ORGANIZATION, PULL_REQUEST_CHANGED, data) for data in rubbish])
        await rabbit.publish([one])
        await inbox.has(one)

        async def all_are_dead() -> bool:
            return await waiting(rabbitmq_uri, topology.dead_queue("review")) == len(rubbish)

        await until(all_are_dead)
    assert list(inbox.kept) == [one.id]
    assert [data for _, data, _ in recorded] == [rubbish[0], *rubbish]
    assert {queue for queue, _, _ in recorded} == {topology.queue("review")} and all(why for _, _, why in recorded)
    assert await waiting(rabbitmq_uri, topology.queue("review")) == 0
    async with operator(rabbitmq_uri) as channel:
        queue = await channel.get_queue(topology.dead_queue("review"))
        message = await queue.get()
        assert message is not None
        death: Any = message.headers["x-death"]
        assert (death[0]["queue"], death[0]["reason"]) == (topology.queue("review"), "rejected")
        await message.ack()


async def test_one_that_can_not_be_stored_is_dead_lettered_and_the_others_are_kept(
    rabbit: RabbitMqBus, rabbitmq_uri: str, topology: Topology, inbox: Inbox
) -> None:
    sent = [envelope(n) for n in range(5)]
    inbox.poison.add(sent[2].id)
    await rabbit.publish(sent)
    async with rabbit.subscription("review", inbox.accept):
        await inbox.has(*sent[:2], *sent[3:])
        await until(lambda: _is(waiting(rabbitmq_uri, topology.dead_queue("review")), 1))


async def test_a_message_is_acknowledged_after_the_inbox_has_it_and_not_before(
    rabbit: RabbitMqBus, rabbitmq_uri: str, topology: Topology, inbox: Inbox
) -> None:
    one = envelope()
    inbox.away = True
    async with rabbit.subscription("review", inbox.accept):
        await rabbit.publish([one])
        await inbox.has_refused(2)  # held and tried again, not sent to and fro
    assert await waiting(rabbitmq_uri, topology.queue("review")) == 1
    inbox.away = False
    async with rabbit.subscription("review", inbox.accept):
        await inbox.has(one)
    await until(lambda: _is(waiting(rabbitmq_uri, topology.queue("review")), 0))


async def test_consumers_of_several_processes_share_the_queue(
    rabbitmq_uri: str, topology: Topology, rabbit: RabbitMqBus
) -> None:
    first, second = Inbox(), Inbox()
    other = RabbitMqBus(parse(rabbitmq_uri), topology)
    sent = [envelope(n) for n in range(900)]
    await rabbit.publish(sent[:1])  # makes the queue
    async with rabbit.subscription("review", first.accept), other.subscription("review", second.accept):
        await until(lambda: _is(_consumers(rabbitmq_uri, topology), 2))
        for start in range(0, len(sent), 300):
            await rabbit.publish(sent[start : start + 300])

        async def all_came() -> bool:
            return {e.id for e in sent} <= first.kept.keys() | second.kept.keys()

        await until(all_came)
    assert first.kept
    assert second.kept
    await other.close()


async def test_a_queue_that_somebody_deleted_is_made_again(
    rabbit: RabbitMqBus, rabbitmq_uri: str, topology: Topology, inbox: Inbox
) -> None:
    async with rabbit.subscription("review", inbox.accept):
        first, second = envelope(1), envelope(2)
        await published(rabbit, first)
        await inbox.has(first)
        async with operator(rabbitmq_uri) as channel:
            await channel.queue_delete(topology.queue("review"))
        await published(rabbit, second)
        await inbox.has(second)


@pytest.mark.parametrize("disk", ["kept", "deleted"])
async def test_after_a_kill_of_the_broker_everything_goes_on(
    rabbitmq_engine: RabbitMqEngine, inbox: Inbox, disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kit.bus.rabbitmq._CONFIRM_SECONDS", 2.0)
    monkeypatch.setattr("services.kit.bus.consumer._CONSUME_SECONDS", 2.0)
    monkeypatch.setattr("services.kit.bus.consumer._MUTE_TIMES", 1)
    bus = RabbitMqBus(parse(rabbitmq_engine.uri), Topology(f"kill-{disk}"))
    async with bus.subscription("review", inbox.accept):
        first, second = envelope(1), envelope(2)
        await published(bus, first)
        await inbox.has(first)
        rabbitmq_engine.kill()
        try:
            if disk == "deleted":
                rabbitmq_engine.delete_disk()
            with pytest.raises(AppError, match="broker"):
                await bus.publish([second])
            await until(lambda: _is(_problem(bus), True))
            with pytest.raises(AppError, match="The broker is away"):
                await bus.publish([second])
        finally:
            await asyncio.to_thread(rabbitmq_engine.start)
        await published(bus, second)
        await inbox.has(second)
        await until(lambda: _is(_problem(bus), False))
    await bus.close()


async def test_a_broker_that_freezes_is_given_up_and_found_again(
    rabbitmq_engine: RabbitMqEngine, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    monkeypatch.setattr("services.kit.bus.rabbitmq._CONFIRM_SECONDS", 1.0)
    bus = RabbitMqBus(parse(rabbitmq_engine.uri), Topology("freeze"))
    async with bus.subscription("review", inbox.accept):
        first, second = envelope(1), envelope(2)
        await published(bus, first)
        os.kill(rabbitmq_engine.pid, signal.SIGSTOP)
        try:
            with pytest.raises(AppError):
                await bus.publish([second])
        finally:
            os.kill(rabbitmq_engine.pid, signal.SIGCONT)
        await published(bus, second)
        await inbox.has(first, second)
    await bus.close()


async def test_a_wrong_password_is_said_and_never_shown(rabbitmq_uri: str, caplog: pytest.LogCaptureFixture) -> None:
    uri = parse(rabbitmq_uri).with_password("hunter2-not-it")
    bus = RabbitMqBus(uri)
    with pytest.raises(AppError, match=r"The broker is away: .*(ACCESS_REFUSED|Authentication)") as caught:
        await bus.publish([envelope()])
    assert "hunter2" not in str(caught.value) + caplog.text
    await bus.close()


async def _is(value: Any, wanted: object) -> bool:
    return bool(await value == wanted)


async def _problem(bus: RabbitMqBus) -> bool:
    return bool(bus.problem())


async def _consumers(uri: str, topology: Topology) -> int:
    async with operator(uri) as channel:
        found = await channel.declare_queue(topology.queue("review"), passive=True)
        return found.declaration_result.consumer_count or 0
