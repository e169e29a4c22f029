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
        """Store in every inbox; a topic that nobody here takes stays unconfirmed, and does not hold up the others.

        Raises AppError(UNAVAILABLE) where that is all there was.
        """
        by_topic: dict[str, list[Envelope]] = defaultdict(list)
        for envelope in envelopes:
            by_topic[envelope.topic].append(envelope)
        confirmed: list[UUID] = []
        refused = ""
        for topic, group in by_topic.items():
            if not self._inboxes[topic]:
                refused = topic
                continue
            for accept in self._inboxes[topic]:
                await accept(group)
            confirmed += [envelope.id for envelope in group]
        if refused and not confirmed:
            raise AppError(Reason.UNAVAILABLE, f"no role in this process takes {refused}; run the one that does in it")
        return confirmed
