"""Puts what several callers want of the database at the same moment into one transaction for each organisation."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
MOST = 64  # in one transaction


class Batcher(Generic[KeyT, ItemT, ResultT]):
    """The first caller goes at once; those who come while it is away go together after it."""

    def __init__(self, write: Callable[[KeyT, Sequence[ItemT]], Awaitable[Sequence[ResultT]]]) -> None:
        self._write = write
        self._waiting: dict[KeyT, list[tuple[ItemT, asyncio.Future[ResultT]]]] = {}
        self._tasks: dict[KeyT, asyncio.Task[None]] = {}

    async def submit(self, key: KeyT, item: ItemT) -> ResultT:
        """Answer what the write answered for this item; raises what it raised."""
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append((item, result))
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._run(key))
        return await result

    async def _run(self, key: KeyT) -> None:
        try:
            while waiting := self._waiting.pop(key, None):
                if rest := waiting[MOST:]:
                    self._waiting[key] = rest
                await self._flush(key, waiting[:MOST])
        finally:
            del self._tasks[key]

    async def _flush(self, key: KeyT, batch: Sequence[tuple[ItemT, "asyncio.Future[ResultT]"]]) -> None:
        try:
            results = await self._write(key, [item for item, _ in batch])
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
