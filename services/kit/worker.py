"""Loops that claim work from Postgres: woken by a hint, safe without one, quiet while the database is away."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from services.kit.errors import AppError
from services.kit.telemetry import log

_BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds after a failed step, the last one from then on
_logger = log.get("worker")


class Loop:
    """Calls `step` until it answers False (nothing left), then waits for `wake` or for about `idle` seconds."""

    def __init__(self, name: str, step: Callable[[], Awaitable[bool]], *, idle: float) -> None:
        self.name = name
        self._step = step
        self._idle = idle
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Hint that there is work."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping`; a step that has begun is brought to its end."""
        failures = 0
        while not stopping.is_set():
            self._wake.clear()
            try:
                more = await self._step()
                failures = 0
            except AppError as error:
                more, failures = False, failures + 1
                _logger.warning("step failed", loop=self.name, reason=error.reason.value, message=error.message)
            except Exception:
                more, failures = False, failures + 1
                _logger.exception("step failed", loop=self.name)
            if not more:
                pause = _BACK_OFF[min(failures, len(_BACK_OFF)) - 1] if failures else self._idle
                await self._wait(pause * random.uniform(0.8, 1.2), stopping, may_wake=not failures)  # noqa: S311

    async def _wait(self, seconds: float, stopping: asyncio.Event, *, may_wake: bool) -> None:
        waits = [asyncio.create_task(stopping.wait())]
        if may_wake:
            waits.append(asyncio.create_task(self._wake.wait()))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()


@asynccontextmanager
async def running(loops: Sequence[Loop], *, grace: float) -> AsyncIterator[None]:
    """Run loops beside the block; at its end they get `grace` seconds for the step they are in."""
    stopping = asyncio.Event()
    tasks = [asyncio.create_task(loop.run(stopping), name=loop.name) for loop in loops]
    try:
        yield
    finally:
        stopping.set()
        _, late = await asyncio.wait(tasks, timeout=grace) if tasks else (set(), set())
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
