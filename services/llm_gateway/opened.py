"""Models with open connections: made when first used, shared, each with the limit and the circuits of its key."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.kit.telemetry import log
from services.llm_gateway.environment import Candidate
from services.llm_gateway.limiter import FairLimiter
from services.llm_gateway.providers.port import OpenedModel
from services.llm_gateway.providers.types import Model

CAPACITY = 256  # models kept open; one is some connections and a megabyte
NO_LIMIT = 1_000_000
_logger = log.get("opened_models")

Opener = Callable[[Model], Awaitable[OpenedModel]]


@dataclass(slots=True)
class _Entry:
    task: "asyncio.Task[OpenedModel]"
    users: int = 0
    is_out: bool = False


@dataclass(slots=True)
class OpenedModels:
    """Opens each model once. What nobody has used for longest is closed when there are too many, never under a call."""

    opener: Opener
    _entries: OrderedDict[Model, _Entry] = field(default_factory=OrderedDict)
    _limiters: OrderedDict[str, FairLimiter] = field(default_factory=OrderedDict)
    _closing: set["asyncio.Task[None]"] = field(default_factory=set)

    @asynccontextmanager
    async def using(self, model: Model) -> AsyncIterator[OpenedModel]:
        """Hold an opened model while the block runs. Raises ProviderError if it cannot be opened."""
        entry = self._entries.get(model)
        if entry is None:
            entry = self._entries[model] = _Entry(asyncio.create_task(self._open(model)))
        self._entries.move_to_end(model)
        entry.users += 1
        try:
            yield await asyncio.shield(entry.task)
        finally:
            entry.users -= 1
            failed = entry.task.done() and (entry.task.cancelled() or entry.task.exception() is not None)
            if failed and self._entries.get(model) is entry:
                del self._entries[model]
            self._trim()
            if entry.is_out and not entry.users:
                self._close(entry)

    def limiter(self, candidate: Candidate) -> FairLimiter:
        """Answer the limit of the candidate's key; the newest configuration's number holds."""
        limit = candidate.model.max_concurrent_requests or NO_LIMIT
        found = self._limiters.setdefault(candidate.credential, FairLimiter(limit))
        found.limit = limit
        self._limiters.move_to_end(candidate.credential)
        while len(self._limiters) > CAPACITY * 4 and next(iter(self._limiters.values())).is_idle:
            self._limiters.popitem(last=False)
        return found

    async def aclose(self) -> None:
        """Close all connections."""
        for entry in self._entries.values():
            self._close(entry)
        self._entries.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _open(self, model: Model) -> OpenedModel:
        return await self.opener(model)

    def _trim(self) -> None:
        while len(self._entries) > CAPACITY:
            _, entry = self._entries.popitem(last=False)
            entry.is_out = True
            if not entry.users:
                self._close(entry)

    def _close(self, entry: _Entry) -> None:
        task = asyncio.create_task(_closed(entry.task))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _closed(opening: "asyncio.Task[OpenedModel]") -> None:
    with contextlib.suppress(Exception):
        await (await opening).aclose()
