"""The bus between services: it moves envelopes from outbox to inbox, and may lose, double or reorder them."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
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

Reject = Callable[[str, bytes, str], Awaitable[None]]  # keeps what can't be read: where it was, its bytes, why


class Bus(Protocol):
    """What an adapter offers. It is used in one event loop."""

    async def publish(self, envelopes: Sequence[Envelope]) -> list[UUID]:
        """Send, and answer the ids that the far side has confirmed; the others are sent again later.

        Raises AppError(UNAVAILABLE) where nothing was confirmed, with the reason.
        """

    def subscription(
        self, consumer: str, accept: Accept, reject: Reject | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Hand the consumer's topics (`topology.CONSUMERS`) to its inbox while entered; on exit no call is under way.

        Any number of processes may take part for one consumer; each envelope goes to one of them.
        """

    def problem(self) -> str | None:
        """Answer what is wrong with the way to the broker, empty if nothing is; None where there is no broker."""

    async def close(self) -> None:
        """Let go of everything; what was not confirmed stays with the sender."""
