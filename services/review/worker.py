"""Claims runs and keeps them while they are carried: the lease is held by heartbeats and given up before it ends."""

import asyncio
import contextlib
import os
import socket
import time
from datetime import timedelta

import structlog

from services.kit.errors import AppError
from services.kit.telemetry import log, metrics, trace
from services.review.domain import Run, RunState
from services.review.pipeline import Pipeline
from services.review.run_store import LeaseLostError
from services.review.runs import LEASE, Runs

HEARTBEAT = LEASE / 3
_MARGIN = timedelta(seconds=5)  # the worker stops this long before its lease ends
_logger = log.get("worker")


class Worker:
    """Carries up to `concurrency` runs at a time."""

    def __init__(self, runs: Runs, pipeline: Pipeline, concurrency: int) -> None:
        self._runs = runs
        self._pipeline = pipeline
        self._places = asyncio.Semaphore(concurrency)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._tasks: set[asyncio.Task[None]] = set()
        self._orders = asyncio.Event()

    def wake(self) -> None:
        """Hint that somebody may want a run to stop."""
        self._orders.set()

    async def claim_next(self) -> bool:
        """Begin a run if one is due and there is a place; True if one was begun."""
        await self._places.acquire()
        try:
            claimed_at = _now()
            run = await self._runs.claim(self._name)
        except BaseException:
            self._places.release()
            raise
        if run is None:
            self._places.release()
            return False
        task = asyncio.create_task(self._hold(run, claimed_at))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return True

    async def drain(self, grace: float) -> None:
        """Give the runs that are on `grace` seconds, then put them back for others."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._places.release()

    async def _hold(self, run: Run, claimed_at: float) -> None:
        started = time.perf_counter()
        with (
            structlog.contextvars.bound_contextvars(run_id=str(run.id)),
            trace.span("review run", parent=run.traceparent, run_id=str(run.id), head=run.head_sha),
        ):
            _logger.info("run claimed", repository=run.ref.repository, number=run.ref.number, epoch=run.epoch)
            work = asyncio.create_task(self._pipeline.carry(run))
            keeper = asyncio.create_task(self._keep(run, claimed_at))
            try:
                await asyncio.wait({work, keeper}, return_when=asyncio.FIRST_COMPLETED)
                await self._end(run, work, keeper)
            except asyncio.CancelledError:
                await _stop(work)
                with contextlib.suppress(LeaseLostError, AppError):
                    await self._runs.put_back(run, "release", "the worker was stopped", timedelta())
                raise
            finally:
                await _stop(keeper)
                metrics.RUN_SECONDS.observe(time.perf_counter() - started)

    async def _end(self, run: Run, work: "asyncio.Task[None]", keeper: "asyncio.Task[RunState | None]") -> None:
        if not work.done():
            await _stop(work)
            stop = await keeper
            if stop is not None:
                words = "a newer head, or a closed pull request" if stop is RunState.SUPERSEDED else "by a person"
                with contextlib.suppress(LeaseLostError):
                    await self._runs.finish(run, stop, words)
            return
        try:
            work.result()
        except LeaseLostError:
            _logger.warning("lease lost")
        except AppError as error:
            # Not the run's fault: the database did not answer when the run was to be moved.
            await self._put_back(run, "release", error.message or error.reason.value, timedelta(seconds=1))
        except Exception as error:
            _logger.exception("run failed")
            delay = timedelta(seconds=min(2**run.errors, 60))
            await self._put_back(run, "errors", f"internal error ({type(error).__name__})", delay)

    async def _put_back(self, run: Run, kind: str, reason: str, delay: timedelta) -> None:
        """Put a run back, trying for as long as its lease surely lasts; after that a rescuer does it."""
        for _ in range(int(_MARGIN.total_seconds()) * 2):
            try:
                await self._runs.put_back(run, kind, reason, delay)
            except LeaseLostError:
                return
            except AppError:
                await asyncio.sleep(1)
            else:
                return
        _logger.warning("run left to the rescuer", reason=reason)

    async def _keep(self, run: Run, claimed_at: float) -> RunState | None:
        """Send heartbeats; returns what the run shall become when it shall stop, None when the lease cannot be held."""
        safe_until = claimed_at + (LEASE - _MARGIN).total_seconds()
        while True:
            pause = min(HEARTBEAT.total_seconds(), max(safe_until - _now(), 0))
            self._orders.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._orders.wait(), pause)
            asked_at = _now()
            if asked_at >= safe_until:
                metrics.LEASES_LOST.inc()
                _logger.warning("lease given up: the database did not answer in time")
                return None
            try:
                orders = await asyncio.wait_for(self._runs.heartbeat(run), safe_until - asked_at)
            except (AppError, TimeoutError):
                await asyncio.sleep(min(1.0, max(safe_until - _now(), 0)))
                continue
            except LeaseLostError:
                return None
            safe_until = asked_at + (LEASE - _MARGIN).total_seconds()
            if orders.stop is not None and not orders.must_finish:
                return orders.stop


def _now() -> float:
    # Goes on while the machine sleeps, unlike the monotonic clock, and never jumps, unlike the time of day.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def _stop(task: "asyncio.Task[object]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
