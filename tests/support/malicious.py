"""A bus that does whatever a bus may do to envelopes, and more often: loses, doubles, delays, reorders, misreports.

It stands under tests only, around a real adapter, and is given its seed by them; no setting selects it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from uuid import UUID, uuid4

from services.kit.bus.port import Accept, Bus, Envelope, Reject
from services.kit.errors import AppError, Reason

MOST_LOSSES = 3  # of one envelope, so that a test comes to its end


class MaliciousBus:
    """Passes envelopes to another bus when it pleases; `deeds` counts what it did. The same seed does the same."""

    def __init__(self, inner: Bus, seed: int) -> None:
        self._inner = inner
        self._random = random.Random(seed)
        self._losses: Counter[UUID] = Counter()
        self._later: set[asyncio.Task[None]] = set()
        self.deeds: Counter[str] = Counter()

    async def publish(self, envelopes: Sequence[Envelope]) -> list[UUID]:
        """Do each envelope some harm or none; what is answered need not be what happened."""
        if self._random.random() < 0.1:
            self._note("refused")
            raise AppError(Reason.UNAVAILABLE, "the broker is in a bad mood")
        passed: list[Envelope] = []
        answered: list[UUID] = []
        for envelope in self._random.sample(list(envelopes), len(envelopes)):
            deed = self._choose(envelope)
            self._note(deed)
            match deed:
                case "lost":
                    answered.append(envelope.id)
                case "dropped unconfirmed":
                    pass
                case "delayed":
                    self._pass_later(envelope)
                    answered.append(envelope.id)
                case "doubled":
                    passed += [envelope, envelope]
                    self._pass_later(envelope)
                    answered.append(envelope.id)
                case "passed unconfirmed":
                    passed.append(envelope)
                case _:
                    passed.append(envelope)
                    answered.append(envelope.id)
        if passed:
            self._random.shuffle(passed)
            confirmed = set(await self._inner.publish(passed))
            answered = [i for i in answered if i in confirmed or i not in {e.id for e in passed}]
        return [*answered, uuid4()]  # and of one that it never saw

    def subscription(
        self, consumer: str, accept: Accept, reject: Reject | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Subscribe to the other bus."""
        return self._inner.subscription(consumer, accept, reject)

    def problem(self) -> str | None:
        """Answer what the other bus does; of itself it says nothing."""
        return self._inner.problem()

    async def close(self) -> None:
        """Lose what was delayed."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
        await self._inner.close()

    def _choose(self, envelope: Envelope) -> str:
        deed = self._random.choice(
            ["lost", "lost", "delayed", "delayed", "doubled", "dropped unconfirmed", "passed unconfirmed", "passed"]
        )
        if deed in ("lost", "dropped unconfirmed"):
            self._losses[envelope.id] += 1
            if self._losses[envelope.id] > MOST_LOSSES:
                return "passed"
        return deed

    def _pass_later(self, envelope: Envelope) -> None:
        async def pass_on() -> None:
            await asyncio.sleep(self._random.random())
            await self._inner.publish([envelope])

        task = asyncio.create_task(pass_on())
        self._later.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._later.discard(task)
        if not task.cancelled():
            task.exception()  # nobody waits for it: one more that is lost

    def _note(self, deed: str) -> None:
        self.deeds[deed] += 1
