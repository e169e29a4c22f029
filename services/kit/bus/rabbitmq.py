"""The bus over RabbitMQ: confirmed, persistent, mandatory; taken off the queue once the inbox has committed.

Publishing and consuming have a connection each, so that a publisher the broker holds back stops no acknowledgement.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractExchange
from aio_pika.exceptions import DeliveryError, PublishError
from yarl import URL

from services.kit.bus.consumer import Consumer
from services.kit.bus.port import Accept, Envelope, Reject
from services.kit.bus.session import PREPARE_SECONDS, Link, Session
from services.kit.bus.topology import Topology
from services.kit.errors import AppError, Reason

_CONNECT_SECONDS = 5.0  # that a publisher waits for its connection before it says that there is none
_CONFIRM_SECONDS = 10.0  # for a batch; the rows of the outbox are locked for so long


class RabbitMqBus:
    """A bus on the broker of `uri` (`address.parse`). A broker that is away delays, and is looked for until `close`."""

    def __init__(self, uri: URL, topology: Topology | None = None) -> None:
        self._uri = uri
        self._topology = topology or Topology()
        self._sessions: list[Session] = []
        self._publisher = Session(uri, "publish", self._serve_publisher)
        self._publisher_task: asyncio.Task[None] | None = None
        self._publishing: tuple[Link, AbstractExchange] | None = None

    async def publish(self, envelopes: Sequence[Envelope]) -> list[UUID]:
        """Publish, and answer what the broker has safely in every queue it belongs to.

        What is returned (no queue takes its topic) or refused (a queue is full) is not among it. Raises
        AppError(UNAVAILABLE) where nothing is.
        """
        if not envelopes:
            return []
        link, exchange = await self._link()
        sent = {envelope.id: asyncio.ensure_future(_send(exchange, envelope)) for envelope in envelopes}
        _, late = await asyncio.wait(sent.values(), timeout=_CONFIRM_SECONDS)
        if late:
            link.give_up("the broker confirms nothing")  # frozen, cut off, or out of memory or disk
            for task in late:
                task.cancel()
        outcomes = await asyncio.gather(*sent.values(), return_exceptions=True)
        confirmed = [i for i, outcome in zip(sent, outcomes, strict=True) if outcome is None]
        if not confirmed:
            raise AppError(Reason.UNAVAILABLE, _in_words(outcomes[0]))
        return confirmed

    @asynccontextmanager
    async def subscription(self, consumer: str, accept: Accept, reject: Reject | None = None) -> AsyncIterator[None]:
        """Consume the queue of `consumer` while entered; messages that were on their way go back to it."""
        session = Session(self._uri, f"consume {consumer}", Consumer(self._topology, consumer, accept, reject).serve)
        self._sessions.append(session)
        try:
            async with _running(session.run()):
                yield
        finally:
            self._sessions.remove(session)

    def problem(self) -> str | None:
        """Answer what keeps this process from publishing or consuming, empty if nothing does."""
        return next((session.problem for session in self._sessions if session.problem), "")

    async def close(self) -> None:
        """End the publishing connection."""
        if self._publisher_task is not None:
            await _ended(self._publisher_task)
            self._publisher_task = None

    async def _link(self) -> tuple[Link, AbstractExchange]:
        if self._publisher_task is None:
            self._sessions.append(self._publisher)
            self._publisher_task = asyncio.create_task(self._publisher.run())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._publisher.tried.wait(), _CONNECT_SECONDS)
        if self._publishing is None:
            raise AppError(Reason.UNAVAILABLE, f"The broker is away: {self._publisher.problem}")
        return self._publishing

    async def _serve_publisher(self, link: Link) -> None:
        async with asyncio.timeout(PREPARE_SECONDS):
            exchange = await self._topology.declare(link.channel)
        self._publishing = link, exchange
        link.is_ready()
        try:
            await asyncio.shield(link.lost)
        finally:
            self._publishing = None


async def _send(exchange: AbstractExchange, envelope: Envelope) -> None:
    """Return once the broker has confirmed; whatever it does otherwise is raised."""
    message = Message(
        envelope.data,
        content_type="application/protobuf",
        type=envelope.topic,
        message_id=str(envelope.id),
        headers={"organization-id": str(envelope.organization_id)},
        delivery_mode=DeliveryMode.PERSISTENT,
    )
    await exchange.publish(message, routing_key=envelope.topic, mandatory=True)


def _in_words(outcome: BaseException | None) -> str:
    match outcome:
        case PublishError():  # before DeliveryError, which it is one of
            return "The broker has no queue for it."
        case DeliveryError():
            return "The broker refused it; a queue may be full."
        case _:
            return f"The broker did not confirm: {type(outcome).__name__}"


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await _ended(task)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
