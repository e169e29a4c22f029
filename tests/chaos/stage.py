"""A small system on which one thing at a time is done on purpose: killed at a commit, paused, told something twice."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.chaos import reader
from tests.chaos.history import Change, write_history
from tests.chaos.points import Point
from tests.chaos.proxy import CommitRule, Proxy
from tests.chaos.rest import Casualties, settle, until
from tests.chaos.sender import Sender
from tests.chaos.world import SECRET, World, running_world

LAYOUT = {
    "identity": ("auth", "orgs"),
    "models": ("llm_gateway",),
    "intake": ("webhooks",),
    "review": ("review",),
    **{f"worker{n}": ("webhooks_worker", "review_worker") for n in range(1, 4)},
    "gateway": ("gateway",),
}


class Stage:
    """A running system, its pull requests, and the means to kill it at a point."""

    def __init__(self, world: World, changes: list[Change], sender: Sender) -> None:
        self.world = world
        self.changes = changes
        self.sender = sender
        self.casualties = Casualties(world)
        self.hits = 0
        self._restarts: dict[str, asyncio.Task[None]] = {}

    async def announce(self, action: str, number: int, head: str) -> None:
        delivery = await self.world.github("webhook", action, number, SECRET)
        await self.sender.send_until_stored(delivery["headers"], delivery["body"].encode(), number, head)

    async def kill_at(self, point: Point, when: Any, number: int) -> None:
        """Open or push to a pull request, and kill whoever comes to the point first."""
        change = self.changes[number - 1]
        if "intake" in self._restarts:
            await self._restarts["intake"]
        names = [name for name in self.world.roles if name.startswith(point.who)]
        if point.push:
            await self.announce("opened", number, change.heads[0])
            await until(lambda: self.published(number, change.heads[0]), 90, f"the first review of #{number}")
            await self.world.github("push", number, change.heads[1])
        await until(self.spares, 60, "no run is left that lost its worker twice")
        victims: list[str] = []

        def strike(proxy: Proxy) -> None:
            name = next(n for n, p in self.world.proxies.items() if p is proxy)
            self.world.roles[name].strike()
            victims.append(name)

        rule = CommitRule(point.matches, when, strike)
        for name in names:
            self.world.proxies[name].rules = [rule]
        if point.hold:
            await self.world.github("fail", point.hold, "before", "stall")
        head = change.heads[1 if point.push else 0]
        sending = asyncio.create_task(self.announce("synchronize" if point.push else "opened", number, head))
        try:
            await asyncio.wait_for(rule.hit.wait(), 60)
        except TimeoutError:
            raise AssertionError(f"nobody came to {point.name!r}") from None
        (victim,) = victims
        self.hits += await self.casualties.doubtful(self.world.roles[victim].pid)
        if point.hold:
            await self.world.github("heal")
        await self.casualties.count(self.world.roles[victim].pid)
        if victim in self._restarts:
            self._restarts[victim].cancel()  # it was on its way up
        self.world.roles[victim].kill()
        self._restarts[victim] = asyncio.create_task(self.world.start_role(victim))
        await sending

    async def published(self, number: int, head: str) -> bool:
        rows = await self.world.query(
            "SELECT FROM review.runs r JOIN review.pull_requests p ON p.id = r.pull_request_id "
            "WHERE p.number = $1 AND r.head_sha = $2 AND r.state = 'PUBLISHED'",
            number,
            head,
        )
        return bool(rows)

    async def spares(self) -> bool:
        return await self.casualties.spared([role.pid for role in self.world.roles.values()])

    async def verdict(self, seconds: float = 90) -> tuple[list[reader.Violation], dict[str, int]]:
        """Let everything come to rest, and answer what is wrong then and what it took; what does not rest is told."""
        await asyncio.gather(*self._restarts.values())
        await settle(self.world, seconds)
        heads = {number: change.heads for number, change in enumerate(self.changes, start=1)}
        host, model = await self.world.github("record"), await self.world.model("record")
        found, seen = await reader.read(self.world.dsn, self.sender.sent, host, model, self.hits, heads)
        return found, reader.totals(seen)


@asynccontextmanager
async def staged(place: Path, pull_requests: int, module: str = "services") -> AsyncIterator[Stage]:
    """Run a system with so many open pull requests, of which nobody has told it."""
    changes = write_history(place / "repository", pull_requests, 2, random.Random(7))
    async with running_world(place / "repository", LAYOUT, module=module) as world:
        for change in changes:
            await world.github("open_pull", change.heads[0], change.base)
        sender = Sender(world.webhook_url)
        yield Stage(world, changes, sender)
        await sender.close()
