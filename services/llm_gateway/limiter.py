"""How many calls a credential may have at once, and whose turn it is when they are all taken."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count


@dataclass(slots=True, eq=False)
class _Waiter:
    group: str
    caller: str
    number: int
    turn: asyncio.Future[None]


class FairLimiter:
    """At most `limit` inside. A free place goes to the group that has the fewest inside, there to the caller with the
    fewest, there to who came first: so one organisation's hundred calls do not make another's first one wait.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._inside = 0
        self._groups: Counter[str] = Counter()
        self._callers: Counter[tuple[str, str]] = Counter()
        self._waiting: list[_Waiter] = []
        self._numbers = count()

    @property
    def is_idle(self) -> bool:
        """Whether nobody is inside or waits."""
        return not self._inside and not self._waiting

    @asynccontextmanager
    async def place(self, group: str, caller: str) -> AsyncIterator[None]:
        """Hold a place while the block runs."""
        await self._enter(group, caller)
        try:
            yield
        finally:
            self._leave(group, caller)

    async def _enter(self, group: str, caller: str) -> None:
        if self._inside < self.limit and not self._waiting:
            self._take(group, caller)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(group, caller, next(self._numbers), turn)
        self._waiting.append(waiter)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(group, caller)  # the place came with the cancellation
            else:
                self._waiting.remove(waiter)
            raise

    def _take(self, group: str, caller: str) -> None:
        self._inside += 1
        self._groups[group] += 1
        self._callers[group, caller] += 1

    def _leave(self, group: str, caller: str) -> None:
        self._inside -= 1
        self._groups[group] -= 1
        self._callers[group, caller] -= 1
        if not self._groups[group]:
            del self._groups[group]
        if not self._callers[group, caller]:
            del self._callers[group, caller]
        while self._waiting and self._inside < self.limit:
            following = min(
                self._waiting, key=lambda w: (self._groups[w.group], self._callers[w.group, w.caller], w.number)
            )
            self._waiting.remove(following)
            if not following.turn.cancelled():
                self._take(following.group, following.caller)
                following.turn.set_result(None)
