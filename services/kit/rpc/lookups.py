"""What a caller's credential stands for, remembered for seconds; look-ups of one credential at a time are joined."""

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from services.kit.errors import AppError, Reason
from services.kit.rpc.context import Principal, deadline

KNOWN_SECONDS = 3.0  # what ended stops working within this time (the promise is five)
UNKNOWN_SECONDS = 1.0  # what was made just now starts working within this time
CAPACITY = 4096  # credentials remembered; those used longest ago are forgotten first

Answer = Principal | None  # None: the credential is nobody's


class Lookups:
    """Remembers answers by the digest of a credential, never the credential. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Answer, float]] = OrderedDict()  # and until when
        self._under_way: dict[bytes, asyncio.Task[Answer]] = {}

    async def get(self, digest: bytes, ask: Callable[[], Awaitable[Answer]]) -> Principal:
        """Answer what is remembered, else what `ask` says. Raises AppError(UNAUTHENTICATED), and what `ask` raises."""
        answer = self._remembered(digest)
        if answer is _MISSING:
            # Shielded: one caller that gives up must not take the answer from the others that wait for it.
            answer = await asyncio.shield(self._look_up(digest, ask))
        if not isinstance(answer, Principal):
            raise AppError(Reason.UNAUTHENTICATED)
        return answer

    def _remembered(self, digest: bytes) -> "Answer | _Missing":
        answer, until = self._known.get(digest, (None, float("-inf")))
        if until <= self._clock():
            return _MISSING
        self._known.move_to_end(digest)
        return answer

    def _look_up(self, digest: bytes, ask: Callable[[], Awaitable[Answer]]) -> asyncio.Task[Answer]:
        task = self._under_way.get(digest)
        if task is None:
            context = contextvars.copy_context()
            context.run(deadline.set, None)  # the first caller's deadline is not that of those who join
            task = asyncio.create_task(self._ask(digest, ask), context=context)
            self._under_way[digest] = task
            task.add_done_callback(lambda done: self._ended(digest, done))
        return task

    def _ended(self, digest: bytes, task: asyncio.Task[Answer]) -> None:
        self._under_way.pop(digest, None)
        if not task.cancelled():
            task.exception()  # has been raised in those who waited, and nobody may be left

    async def _ask(self, digest: bytes, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        asked_at = self._clock()  # the answer may be as old as the question
        answer = await ask()
        self._known[digest] = (answer, asked_at + (UNKNOWN_SECONDS if answer is None else KNOWN_SECONDS))
        self._known.move_to_end(digest)
        while len(self._known) > CAPACITY:
            self._known.popitem(last=False)
        return answer


class _Missing:
    """Nothing is remembered; None would say that the credential is nobody's."""


_MISSING = _Missing()
