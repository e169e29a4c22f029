"""The bus between services: it moves envelopes from outbox to inbox, and may lose, double or reorder them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event on its way; `data` is a serialised lintel.events.v1.Envelope."""

    id: UUID
    organization_id: UUID
    topic: str
    data: bytes


Accept = Callable[[Sequence[Envelope]], Awaitable[None]]  # stores envelopes in an inbox; returns once they are safe


class Bus(Protocol):
    """What an adapter offers."""

    async def publish(self, envelopes: Sequence[Envelope]) -> list[UUID]:
        """Send, and answer the ids that the far side has confirmed; the others are sent again later."""

    def subscribe(self, topic: str, accept: Accept) -> None:
        """Hand envelopes of a topic to an inbox."""
