"""Claims runs and keeps them while they are carried: the lease is held by heartbeats and given up before it ends."""

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import structlog

from services.kit import retries
from services.kit.errors import AppError
from services.kit.telemetry import log, metrics, trace
from services.review.domain import PutBack, Run, RunState
from services.review.run_store import LeaseLostError
from services.review.runs import Runs

_RETRY_SECONDS = 1.0  # between attempts to tell a database that does not answer
_LOOK_SECONDS = 1.0  # a sleeping machine stops the timers of a process, but not its lease
_STOPPED = "the worker was stopped"
_DATABASE_AWAY = "the database did not answer for the length of a lease"
_logger = log.get("worker")


def boot_time() -> float:
    """Answer seconds since the start of the machine, its sleep included."""
    # It goes on while the machine sleeps, unlike the monotonic clock, and never jumps, unlike the time of day.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Worker:
    """Carries up to `concurrency` runs at a time; `carry` does the work of one and ends or puts back the run.

    The lease is prolonged each third of it, and the worker stops a ninth of it before its end. `now` are the seconds of
    a clock that goes on while the machine sleeps.
    """

    def __init__(
        self,
        runs: Runs,
        carry: Callable[[Run], Coroutine[Any, Any, None]],
        concurrency: int,
        *,
        now: Callable[[], float] = boot_time,
    ) -> None:
        self._now = now
        self._runs = runs
        self._carry = carry
        self._free = concurrency
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._heartbeat = runs.lease.total_seconds() / 3
        self._safe = runs.lease.total_seconds() * 8 / 9
        self._tasks: dict[asyncio.Task[None], asyncio.Event] = {}
        self._on_free: Callable[[], None] = lambda: None
        self._drained: asyncio.Task[None] | None = None

    def when_free(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever there is a place again."""
        self._on_free = wake

    def wake(self) -> None:
        """Hint that somebody may want a run to stop."""
        for orders in self._tasks.values():
            orders.set()

    async def claim_next(self) -> bool:
        """Begin a run if there is a place and one is due; True if one was begun. Never waits for a place."""
        if not self._free or self._drained is not None:
            return False
        self._free -= 1
        claimed_at, task = self._now(), None
        try:
            run = await self._runs.claim(self._name)
            if run is None:
                return False
            if self._drained is not None:  # since the claim began
                await self._runs.put_back(run, PutBack.RELEASE, _STOPPED, timedelta())
                return False
            orders = asyncio.Event()
            task = asyncio.create_task(self._hold(run, claimed_at, orders))
            self._tasks[task] = orders
            task.add_done_callback(self._done)
            return True
        finally:
            if task is None:
                self._free += 1

    async def drain(self, grace: float) -> None:
        """Claim nothing more, give the runs that are on `grace` seconds since the first call, then put them back."""
        if self._drained is None:
            self._drained = asyncio.create_task(self._drain(grace))
        await asyncio.shield(self._drained)

    async def _drain(self, grace: float) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _done(self, task: "asyncio.Task[None]") -> None:
        del self._tasks[task]
        self._free += 1
        self._on_free()
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("run left to the rescuer", exc_info=error)

    async def _hold(self, run: Run, claimed_at: float, orders: asyncio.Event) -> None:
        started = time.perf_counter()
        with (
            structlog.contextvars.bound_contextvars(run_id=str(run.id)),
            trace.span("review run", parent=run.traceparent, run_id=str(run.id), head=run.head_sha),
        ):
            _logger.info("run claimed", repository=run.ref.repository, number=run.ref.number, epoch=run.epoch)
            work = asyncio.create_task(self._carry(run))
            keeper = asyncio.create_task(self._keep(run, claimed_at, orders))
            try:
                await asyncio.wait({work, keeper}, return_when=asyncio.FIRST_COMPLETED)
                await self._end(run, work, keeper)
            except asyncio.CancelledError:
                await _stop(work)
                with contextlib.suppress(LeaseLostError, AppError):
                    await self._runs.put_back(run, PutBack.RELEASE, _STOPPED, timedelta())
                raise
            finally:
                await _stop(keeper)
                metrics.RUN_SECONDS.observe(time.perf_counter() - started)

    async def _end(self, run: Run, work: "asyncio.Task[None]", keeper: "asyncio.Task[RunState | None]") -> None:
        if not work.done():
            await _stop(work)
            try:
                was_asked = keeper.result() is not None
            except LeaseLostError:
                return
            # A worker that lives says so where it can: only what nobody says anything about counts as a crash.
            why = "the pull request was closed; the host is asked again" if was_asked else _DATABASE_AWAY
            await self._put_back(run, PutBack.RELEASE, why)
            return
        try:
            work.result()
        except LeaseLostError:
            _logger.warning("lease lost")
        except AppError as error:
            # Not the run's fault: the database did not answer when the run was to be moved.
            reason = error.message or error.reason.value
            await self._put_back(run, PutBack.RELEASE, reason, retries.RUN_RELEASE.longest)
        except Exception as error:
            _logger.exception("run failed")
            delay = retries.RUN_ERROR.pause(run.errors, random.random())  # noqa: S311
            await self._put_back(run, PutBack.ERROR, f"internal error ({type(error).__name__})", delay)

    async def _put_back(self, run: Run, kind: PutBack, reason: str, delay: timedelta = timedelta()) -> None:
        """Put a run back, trying until its lease has surely ended; after that a rescuer does it."""
        until = self._now() + self._runs.lease.total_seconds()
        while self._now() < until:
            try:
                await self._runs.put_back(run, kind, reason, delay)
            except LeaseLostError:
                return
            except AppError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return
        _logger.warning("run left to the rescuer", reason=reason)

    async def _keep(self, run: Run, claimed_at: float, orders: asyncio.Event) -> RunState | None:
        """Send heartbeats; returns what the run shall become when it shall stop, None when the lease cannot be held.

        Raises LeaseLostError when somebody else has the run.
        """
        safe_until = claimed_at + self._safe
        while True:
            await self._until(min(self._now() + self._heartbeat, safe_until), orders)
            orders.clear()
            asked_at = self._now()
            if asked_at >= safe_until:
                metrics.LEASES_LOST.inc()
                _logger.warning("lease given up: the database did not answer in time")
                return None
            try:
                stop = await asyncio.wait_for(self._runs.heartbeat(run), safe_until - asked_at)
            except LeaseLostError:
                raise
            except Exception as error:  # of whatever kind: without a heartbeat the lease runs out
                _logger.warning("heartbeat failed", error=type(error).__name__)
                await asyncio.sleep(min(_RETRY_SECONDS, max(safe_until - self._now(), 0)))
                continue
            safe_until = asked_at + self._safe
            if stop is not None:
                return stop

    async def _until(self, moment: float, orders: asyncio.Event) -> None:
        """Wait for orders, at most until `moment` of our clock; looked at often, as the timers' clock may stand."""
        while not orders.is_set() and (left := moment - self._now()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(orders.wait(), min(left, _LOOK_SECONDS))


async def _stop(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
