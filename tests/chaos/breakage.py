"""What everything that breaks shares: the world, the chance, what is down, what is to be mended, and the count."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import asyncpg

from tests.chaos.rest import Casualties
from tests.chaos.sender import Sender
from tests.chaos.traffic import Traffic
from tests.chaos.world import World

PATIENCE = 6.0  # seconds to wait for work in flight of a kind
NOT_NOW = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)
_CALL_SECONDS = 0.5  # what a call takes here, and a little
Looks = Callable[[], Awaitable[bool]]
Acts = dict[str, Callable[[], Awaitable[None]]]  # by kind


@dataclass
class Tally:
    """How often each thing was done, and how often it hit work in flight."""

    done: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    windows: list[tuple[float, float]] = field(default_factory=list)  # when a model call could lose its answer

    def hits(self, times: Sequence[float]) -> int:
        """How many calls, by the times of their answers, were on their way while something broke that carries them."""
        return sum(any(begun <= at <= ended for begun, ended in self.windows) for at in times)

    def note(self, kind: str, hit: bool) -> None:
        self.done[kind] += 1
        self.hit[kind] += hit


class Breakage:
    """The common ground of roles, engines and links that break."""

    def __init__(self, world: World, sender: Sender, traffic: Traffic, chance: random.Random) -> None:
        self.world = world
        self.sender = sender
        self.traffic = traffic
        self.chance = chance
        self.tally = Tally()
        self.casualties = Casualties(world)
        self.down: set[str] = set()
        self._mending: set[asyncio.Task[None]] = set()

    async def mended(self) -> None:
        """Return when everything that was broken runs again."""
        while self._mending:
            await asyncio.gather(*self._mending)

    def hurts(self, begun: float) -> None:
        """Note that model calls of this time, from `begun` until now, may have lost their answer."""
        self.tally.windows.append((begun - _CALL_SECONDS, time.time() + _CALL_SECONDS))

    def later(self, work: "Awaitable[None]", least: float, most: float) -> None:
        """Mend after some seconds, while other things break."""
        seconds = self.chance.uniform(least, most)

        async def mend() -> None:
            await asyncio.sleep(seconds)
            await work

        task = asyncio.create_task(mend())
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)

    async def wait(self, in_flight: Looks) -> bool:
        """Wait for work in flight, but not for ever."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if await in_flight():
                    return True
            except NOT_NOW:
                pass
            await asyncio.sleep(0.003)
        return False

    async def is_anything_on_its_way(self) -> bool:
        """Whether a delivery waits to be handled, or an envelope has not arrived."""
        rows = await self.world.query(
            "SELECT EXISTS (SELECT FROM webhooks.deliveries WHERE state = 'RECEIVED') OR EXISTS (SELECT FROM "
            "webhooks.outbox o WHERE NOT EXISTS (SELECT FROM review.inbox i WHERE i.id = o.id)) AS found"
        )
        return bool(rows[0]["found"])

    async def is_an_upload_on(self) -> bool:
        rows = await self.world.query(
            "SELECT EXISTS (SELECT FROM review.runs r JOIN review.pull_requests p ON p.id = r.pull_request_id "
            "WHERE p.host = 'local' AND r.state IN ('QUEUED', 'RUNNING')) AS found"
        )
        return self.traffic.uploads_open > 0 or bool(rows[0]["found"])


async def true(value: bool) -> bool:
    return value
