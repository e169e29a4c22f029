"""At most so many at once, and a free place goes to who has the fewest."""

import asyncio

import pytest

from services.llm_gateway.limiter import FairLimiter


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Calls that hold a place until they are let go."""

    def __init__(self, limit: int) -> None:
        self.limiter = FairLimiter(limit)
        self.inside: list[str] = []
        self.order: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def come(self, name: str, group: str, caller: str = "") -> None:
        self._gates[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, group, caller))

    async def go(self, name: str) -> None:
        self._gates[name].set()
        await self.tasks[name]
        await settle()

    async def _hold(self, name: str, group: str, caller: str) -> None:
        async with self.limiter.place(group, caller):
            self.inside.append(name)
            self.order.append(name)
            await self._gates[name].wait()
            self.inside.remove(name)


async def test_no_more_than_the_limit_are_inside() -> None:
    crowd = Crowd(2)
    for name in "abcd":
        crowd.come(name, "org")
    await settle()
    assert crowd.inside == ["a", "b"]
    await crowd.go("a")
    assert crowd.inside == ["b", "c"]
    for name in "bcd":
        await crowd.go(name)
    assert crowd.limiter.is_idle


async def test_one_organisation_s_many_do_not_make_another_s_first_wait() -> None:
    crowd = Crowd(2)
    for number in range(6):
        crowd.come(f"big{number}", "big")
    await settle()
    crowd.come("small", "small")
    await settle()
    await crowd.go("big0")
    assert crowd.order[2] == "small"


async def test_within_an_organisation_its_callers_take_turns() -> None:
    crowd = Crowd(1)
    crowd.come("x1", "org", "pr-x")
    await settle()
    for name, caller in (("x2", "pr-x"), ("x3", "pr-x"), ("y1", "pr-y")):
        crowd.come(name, "org", caller)
    await settle()
    # When a place is free nobody is inside, so who came first goes; while x2 is inside, y1 has fewer.
    await crowd.go("x1")
    assert crowd.inside == ["x2"]
    crowd.limiter.limit = 2
    await crowd.go("x2")
    assert crowd.order[2:] == ["x3", "y1"] or crowd.order[2:] == ["y1", "x3"]
    for name in ("x3", "y1"):
        await crowd.go(name)


async def test_who_gives_up_leaves_its_place_to_others() -> None:
    crowd = Crowd(1)
    crowd.come("a", "org")
    crowd.come("b", "org")
    crowd.come("c", "org")
    await settle()
    crowd.tasks["b"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await crowd.tasks["b"]
    await crowd.go("a")
    assert crowd.inside == ["c"]
    await crowd.go("c")
    assert crowd.limiter.is_idle


async def test_a_place_that_comes_with_the_cancellation_is_not_lost() -> None:
    crowd = Crowd(1)
    crowd.come("a", "org")
    crowd.come("b", "org")
    await settle()
    crowd._gates["a"].set()
    await asyncio.sleep(0)
    crowd.tasks["b"].cancel()
    await asyncio.gather(*crowd.tasks.values(), return_exceptions=True)
    crowd.come("c", "org")
    await settle()
    assert crowd.inside == ["c"]
    await crowd.go("c")
