"""What breaks, and when: drawn from the seed, done when it hits work in flight, and mended a moment later.

A process is stopped first and looked at then: if nothing of it was in flight it goes on, and another moment is awaited.
So what is counted as a hit was one.
"""

import asyncio
import random
import time
from collections.abc import Mapping

from tests.chaos.break_engines import Engines
from tests.chaos.break_links import Links
from tests.chaos.break_roles import Roles
from tests.chaos.breakage import Breakage
from tests.chaos.sender import Sender
from tests.chaos.traffic import Traffic
from tests.chaos.world import World


class Driver:
    """Breaks a world. `plan` is drawn once; `run` goes through it, and leaves everything mended."""

    def __init__(self, world: World, sender: Sender, traffic: Traffic, chance: random.Random) -> None:
        shared = Breakage(world, sender, traffic, chance)
        self.tally = shared.tally
        self._world = world
        self._chance = chance
        self._mended = shared.mended
        self._acts = Roles(shared).acts() | Engines(shared).acts() | Links(shared).acts()
        self._progress = (0, 1, time.monotonic(), 100.0)

    def plan(self, counts: Mapping[str, int]) -> list[str]:
        """Answer the kinds of `counts` in rounds, each in an order of the seed: all come early, and all come again."""
        kinds: list[str] = []
        for number in range(max(counts.values())):
            due = [kind for kind, count in counts.items() if count > number]
            self._chance.shuffle(due)
            kinds += due
        return kinds

    async def run(self, kinds: list[str], gap: float, longest: float) -> None:
        """Do one thing after the other, `gap` seconds apart on average, while the mending of earlier ones goes on.

        What is not begun after `longest` seconds is left undone.
        """
        begun = time.monotonic()
        for number, kind in enumerate(kinds):
            since = time.monotonic()
            if since - begun > longest:
                break
            self._progress = (number, len(kinds), since, (since - begun) / max(number, 1))
            await self._acts[kind]()
            self.tally.seconds[kind] += time.monotonic() - since
            await asyncio.sleep(self._chance.uniform(0, 2 * gap))
        self._progress = (1, 1, 0.0, 0.0)

    def progress(self) -> float:
        """How much of the plan is done, from 0 to 1: the traffic keeps pace with it, so that there is always some."""
        number, of, since, usual = self._progress
        part = min((time.monotonic() - since) / (usual or 1), 0.9) if number < of else 0.0
        return (number + part) / of

    async def mend(self) -> None:
        """Return when everything that was broken runs again."""
        await self._world.github("heal")
        await self._mended()
