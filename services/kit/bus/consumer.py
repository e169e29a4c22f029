"""Takes messages off a queue into an inbox, and does nothing else with them."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from aio_pika.abc import AbstractIncomingMessage

from services.kit.bus.port import Accept, Envelope, Reject
from services.kit.bus.session import PREPARE_SECONDS, Link
from services.kit.bus.topology import Topology
from services.kit.bus.wire import read
from services.kit.errors import AppError
from services.kit.telemetry import log, metrics

PREFETCH = 200  # messages that the broker hands out unacknowledged; two batches
_BATCH = 100
_BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds, while the database is away
_MEASURE_SECONDS = 15.0
_CONSUME_SECONDS = 10.0  # for the queue to take a consumer; the broker has answered by then
_MUTE_TIMES = 3  # in a row, and the queue counts as broken
_logger = log.get("bus")


class Consumer:
    """Serves one consumer's queue. A message is acknowledged when the inbox has committed it.

    What can't be read goes to the dead-letter queue. While the database is away messages are held, not given back: a
    message that goes to and fro reaches the delivery limit of the queue.
    """

    def __init__(self, topology: Topology, consumer: str, accept: Accept, reject: Reject | None = None) -> None:
        self._topology = topology
        self._consumer = consumer
        self._accept = accept
        self._reject = reject
        self._mute = 0  # how often in a row the queue did not answer while the broker did

    async def serve(self, link: Link) -> None:
        """Consume until cancelled, or until the channel is lost."""
        incoming: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        if self._mute >= _MUTE_TIMES:
            await self._remove(link)
        async with asyncio.timeout(PREPARE_SECONDS):
            await self._topology.declare(link.channel)
            await link.channel.set_qos(prefetch_count=PREFETCH)  # of each consumer, not of the channel
            queue = await link.channel.get_queue(self._topology.queue(self._consumer), ensure=False)
        try:
            async with asyncio.timeout(_CONSUME_SECONDS):
                await queue.consume(incoming.put)
        except TimeoutError:
            self._mute += 1
            link.give_up(f"the queue {queue.name} does not answer; it may have no leader")
            return
        self._mute = 0
        link.is_ready()
        measuring = asyncio.create_task(self._measure(link))
        try:
            while True:
                batch = [await incoming.get()]
                while len(batch) < _BATCH and not incoming.empty():
                    batch.append(incoming.get_nowait())
                await self._take(batch)
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)

    async def _remove(self, link: Link) -> None:
        """Delete a queue that stays mute, to be made anew.

        A broker that is killed within half a second of a queue's declaration remembers the queue and not its log, and
        never elects a leader for it (RabbitMQ 3.10, measured). What was in it is sent again by the outbox.
        """
        name = self._topology.queue(self._consumer)
        _logger.error("queue made anew", queue=name, reason=f"it did not answer {self._mute} times; nothing is lost")
        self._mute = 0
        async with asyncio.timeout(PREPARE_SECONDS):
            await link.channel.queue_delete(name)

    async def _take(self, batch: Sequence[AbstractIncomingMessage]) -> None:
        readable: list[tuple[AbstractIncomingMessage, Envelope]] = []
        for message in batch:
            try:
                readable.append((message, read(message.body)))
            except ValueError as error:
                await self._bury(message, str(error))
        if not readable:
            return
        try:
            await self._insist(partial(self._accept, [envelope for _, envelope in readable]), len(readable))
        except Exception:
            for message, envelope in readable:  # one of them is at fault; the others shall not suffer for it
                await self._take_alone(message, envelope)
        else:
            for message, _ in readable:
                await message.ack()

    async def _take_alone(self, message: AbstractIncomingMessage, envelope: Envelope) -> None:
        try:
            await self._insist(partial(self._accept, [envelope]), 1)
        except Exception as error:
            _logger.exception("envelope can't be stored", envelope_id=str(envelope.id))
            await self._bury(message, f"it can't be stored ({type(error).__name__})")
        else:
            await message.ack()

    async def _insist(self, store: Callable[[], Awaitable[None]], count: int) -> None:
        """Have the inbox take them, however long its database is away."""
        failures = 0
        while True:
            try:
                return await store()
            except AppError as error:
                pause = _BACK_OFF[min(failures, len(_BACK_OFF) - 1)]
                failures += 1
                _logger.warning("inbox does not take", consumer=self._consumer, held=count, message=error.message)
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311

    async def _bury(self, message: AbstractIncomingMessage, reason: str) -> None:
        _logger.error(
            "envelope dead-lettered",
            consumer=self._consumer,
            queue=self._topology.dead_queue(self._consumer),
            message_id=str(message.message_id),
            reason=reason,
        )
        metrics.BUS_UNREADABLE.labels(self._consumer).inc()
        if self._reject is not None:  # a row first: operators look at rows, and a broker's disk may be lost
            place = self._topology.queue(self._consumer)
            with contextlib.suppress(Exception):  # what no row can hold is in the dead-letter queue all the same
                await self._insist(partial(self._reject, place, message.body, reason), 1)
        await message.reject(requeue=False)

    async def _measure(self, link: Link) -> None:
        """Tell how many messages wait; a queue that somebody deleted ends the link, and the next one makes it anew."""
        names = (self._topology.queue(self._consumer), self._topology.dead_queue(self._consumer))
        while True:
            for name in names:
                found = await link.channel.declare_queue(name, passive=True, durable=True)
                metrics.BUS_WAITING.labels(name).set(found.declaration_result.message_count or 0)
            await asyncio.sleep(_MEASURE_SECONDS)
