"""The bus of the embedded profile: hands envelopes to the inboxes of this process."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from services.kit.bus.port import Accept, Envelope, Reject
from services.kit.bus.topology import CONSUMERS
from services.kit.errors import AppError, Reason


class InProcessBus:
    """Confirms an envelope once every consumer of its topic has stored it."""

    def __init__(self) -> None:
        self._inboxes: dict[str, list[Accept]] = defaultdict(list)  # by consumer

    @asynccontextmanager
    async def subscription(self, consumer: str, accept: Accept, reject: Reject | None = None) -> AsyncIterator[None]:
        """Hand the consumer's topics to its inbox while entered."""
        assert consumer in CONSUMERS, consumer
        calls = _Calls(accept)
        self._inboxes[consumer].append(calls)
        try:
            yield
        finally:
            self._inboxes[consumer].remove(calls)
            await calls.ended()

    async def publish(self, envelopes: Sequence[Envelope]) -> list[UUID]:
        """Store with every consumer; a topic that one of them can't take stays, and does not hold up the others.

        Raises AppError(UNAVAILABLE) where that is all there was.
        """
        by_topic: dict[str, list[Envelope]] = defaultdict(list)
        for envelope in envelopes:
            by_topic[envelope.topic].append(envelope)
        confirmed: list[UUID] = []
        refused = ""
        for topic, group in by_topic.items():
            takers = [name for name, topics in CONSUMERS.items() if topic in topics]
            if not takers or not all(self._inboxes[name] for name in takers):
                refused = topic
                continue
            for name in takers:
                await self._inboxes[name][0](group)
            confirmed += [envelope.id for envelope in group]
        if refused and not confirmed:
            raise AppError(
                Reason.UNAVAILABLE,
                f"no role in this process takes {refused}; run the one that does in it, or set API_RABBITMQ_URI",
            )
        return confirmed

    def problem(self) -> str | None:
        """There is no broker."""
        return None

    async def close(self) -> None:
        """Nothing is held."""


class _Calls:
    """An inbox with the number of calls that are inside."""

    def __init__(self, accept: Accept) -> None:
        self._accept = accept
        self._inside = 0
        self._ended = asyncio.Event()
        self._ended.set()

    async def __call__(self, envelopes: Sequence[Envelope]) -> None:
        self._inside += 1
        self._ended.clear()
        try:
            await self._accept(envelopes)
        finally:
            self._inside -= 1
            if not self._inside:
                self._ended.set()

    async def ended(self) -> None:
        await self._ended.wait()
