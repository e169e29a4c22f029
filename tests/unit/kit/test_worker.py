"""Loops: woken by a hint, safe without one, quiet while a step fails, and ending with the step they are in."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from services.kit import worker
from services.kit.errors import AppError, Reason
from services.kit.worker import Loop, running

LONG = 3600.0


class Steps:
    """A step that does what the test lists, and says when it was called for the nth time."""

    def __init__(self, *outcomes: bool | Exception) -> None:
        self.outcomes = list(outcomes)
        self.calls = 0
        self._changed = asyncio.Condition()

    async def __call__(self) -> bool:
        async with self._changed:
            self.calls += 1
            self._changed.notify_all()
        outcome = self.outcomes.pop(0) if self.outcomes else False
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def called(self, times: int) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: self.calls >= times)


async def test_a_loop_works_until_nothing_is_left() -> None:
    steps = Steps(True, True, True, False)
    async with running([Loop("x", steps, idle=LONG)], grace=5):
        await steps.called(4)
    assert steps.calls == 4


async def test_a_hint_wakes_it() -> None:
    steps = Steps()
    loop = Loop("x", steps, idle=LONG)
    async with running([loop], grace=5):
        for times in (1, 2, 3):
            await steps.called(times)
            loop.wake()
        await steps.called(4)


async def test_a_hint_during_a_step_is_not_lost() -> None:
    calls, inside, go_on = 0, asyncio.Event(), asyncio.Event()
    twice = asyncio.Event()

    async def step() -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            inside.set()
            await go_on.wait()
        else:
            twice.set()
        return False

    loop = Loop("x", step, idle=LONG)
    async with running([loop], grace=5):
        await inside.wait()
        loop.wake()
        go_on.set()
        await asyncio.wait_for(twice.wait(), 5)


async def test_without_a_hint_it_looks_again_by_itself() -> None:
    steps = Steps()
    async with running([Loop("x", steps, idle=0.01)], grace=5):
        await steps.called(5)


@pytest.mark.parametrize("failure", [AppError(Reason.UNAVAILABLE, "the database is away"), ValueError("a fault")])
async def test_a_step_that_fails_is_logged_and_tried_again(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    monkeypatch.setattr(worker, "_BACK_OFF", (0.01, 0.02))
    steps = Steps(failure, failure, failure, True, False)
    with capture_logs() as logs:
        async with running([Loop("x", steps, idle=LONG)], grace=5):
            await steps.called(5)
    assert [entry["event"] for entry in logs] == ["step failed"] * 3
    assert all(entry["loop"] == "x" for entry in logs)


async def test_a_loop_in_back_off_is_not_hurried_by_hints_and_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_BACK_OFF", (LONG,))
    steps = Steps(ValueError("a fault"))
    loop = Loop("x", steps, idle=LONG)
    async with asyncio.timeout(5), running([loop], grace=5):
        await steps.called(1)
        for _ in range(10):
            loop.wake()
            await asyncio.sleep(0)
    assert steps.calls == 1


async def test_at_the_end_a_step_that_has_begun_is_brought_to_its_end() -> None:
    inside, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def step() -> bool:
        inside.set()
        await go_on.wait()
        done.set()
        return True

    async with running([Loop("x", step, idle=LONG)], grace=10):
        await inside.wait()
        asyncio.get_running_loop().call_later(0.01, go_on.set)  # when the block has been left
    assert done.is_set()


async def test_a_step_that_takes_longer_than_the_grace_is_cancelled() -> None:
    inside, cancelled = asyncio.Event(), asyncio.Event()

    async def step() -> bool:
        inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return False

    async with asyncio.timeout(10), running([Loop("x", step, idle=LONG)], grace=0.05):
        await inside.wait()
    assert cancelled.is_set()


async def test_one_loop_s_failure_is_not_another_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_BACK_OFF", (LONG,))
    bad, good = Steps(ValueError("a fault")), Steps(True, True, False)
    made: list[tuple[str, Callable[[], Awaitable[bool]]]] = [("bad", bad), ("good", good)]
    async with running([Loop(name, step, idle=LONG) for name, step in made], grace=5):
        await good.called(3)
