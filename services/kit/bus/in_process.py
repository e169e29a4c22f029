"""The bus of the embedded profile: hands envelopes to the inboxes of this process."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from services.kit.bus.port import Accept, Envelope
from services.kit.errors import AppError, Reason


class InProcessBus:
    """Confirms an envelope once every inbox subscribed to its topic has stored it."""

    def __init__(self) -> None:
        self._inboxes: dict[str, list[Accept]] = defaultdict(list)

    def subscribe(self, topic: str, accept: Accept) -> None:
        """Hand envelopes of a topic to an inbox."""
        self._inboxes[topic].append(accept)

    async def publish(self, envelopes: Sequence[Envelope]) -> list[UUID]:
        """Store in every inbox; raises AppError(UNAVAILABLE) where none of this process takes the topic."""
        by_topic: dict[str, list[Envelope]] = defaultdict(list)
        for envelope in envelopes:
            by_topic[envelope.topic].append(envelope)
        confirmed = []
        for topic, group in by_topic.items():
            if not self._inboxes[topic]:
                raise AppError(Reason.UNAVAILABLE, f"no role in this process takes {topic}; run review_worker in it")
            for accept in self._inboxes[topic]:
                await accept(group)
            confirmed += [envelope.id for envelope in group]
        return confirmed
