"""Roles that break: a process of one is killed, paused for longer than a lease, or restarted in order.

It is stopped first and looked at then: if nothing of it was in flight it goes on, and another moment is awaited.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from tests.chaos.breakage import NOT_NOW, PATIENCE, Acts, Breakage
from tests.chaos.world import LEASE_SECONDS, PUBLICATION_LEASE_SECONDS

ROLES = ("worker", "relay", "intake", "gateway", "models")
_LEASES = {
    "worker": LEASE_SECONDS,
    "intake": PUBLICATION_LEASE_SECONDS,
    "relay": LEASE_SECONDS,
    "gateway": LEASE_SECONDS,
}


class Roles:
    """Breaks roles."""

    def __init__(self, shared: Breakage) -> None:
        self._shared = shared
        self._world = shared.world

    def acts(self) -> Acts:
        """Answer what can be done to them."""
        return {
            **{f"kill {role}": self._killer(role) for role in ROLES},
            **{f"pause {role}": self._pauser(role, lease) for role, lease in _LEASES.items()},
            **{f"restart {role}": self._restarter(role) for role in ROLES},
        }

    async def _in_flight(self, role: str, name: str) -> bool:
        """Whether a process that stands still has something in its hands."""
        busy = self._world.proxies[name].busy
        if role == "worker":
            return bool(await self._shared.casualties.of(self._world.roles[name].pid))
        if role == "relay":
            return busy and await self._shared.is_anything_on_its_way()
        if role == "intake":
            return busy or bool(await self._world.github("open_requests"))
        if role == "models":
            return bool(await self._world.model("open_requests"))
        return self._shared.sender.open > 0 or self._shared.traffic.uploads_open > 0

    async def _catch(self, role: str) -> tuple[str, bool]:
        """Stop a process of a role with work in flight; answers which, and whether it has some after all."""
        deadline = time.monotonic() + PATIENCE
        while True:
            names = [n for n in self._world.roles if n.startswith(role) and n not in self._shared.down]
            if names:
                name = self._shared.chance.choice(names)
                process = self._world.roles[name]
                process.pause()
                try:
                    hit = await self._in_flight(role, name)
                    spared = role != "worker" or await self._shared.casualties.spared([process.pid])
                except NOT_NOW:
                    hit = spared = False
                late = time.monotonic() > deadline
                if (hit or late) and spared:
                    return name, hit
                process.resume()
            await asyncio.sleep(self._shared.chance.uniform(0.005, 0.05))

    def _killer(self, role: str) -> Callable[[], Awaitable[None]]:
        async def kill() -> None:
            name, hit = await self._catch(role)
            process = self._world.roles[name]
            begun = time.time()
            if role == "worker":
                await self._count(process.pid)
            self._shared.down.add(name)
            process.kill()
            self._shared.tally.note(f"kill {role}", hit)

            async def again() -> None:
                if role == "worker":
                    self._shared.hurts(begun)
                await self._start(name)
                if role == "models":
                    self._shared.hurts(begun)

            self._shared.later(again(), 0.1, 1.5)

        return kill

    def _pauser(self, role: str, lease: float) -> Callable[[], Awaitable[None]]:
        async def pause() -> None:
            name, hit = await self._catch(role)
            process = self._world.roles[name]
            begun = time.time()
            if role == "worker":
                await self._count(process.pid)
            self._shared.down.add(name)
            self._shared.tally.note(f"pause {role}", hit)

            async def resume() -> None:
                process.resume()
                if role == "worker":
                    self._shared.hurts(begun)
                self._shared.down.discard(name)

            self._shared.later(resume(), lease + 1, lease + 3)

        return pause

    def _restarter(self, role: str) -> Callable[[], Awaitable[None]]:
        async def restart() -> None:
            name, hit = await self._catch(role)
            self._shared.down.add(name)
            begun = time.time()
            self._shared.tally.note(f"restart {role}", hit)

            async def again() -> None:
                await asyncio.to_thread(self._world.roles[name].stop)
                await self._start(name)
                if role in ("worker", "models"):
                    self._shared.hurts(begun)

            self._shared.later(again(), 0, 0)

        return restart

    async def _count(self, pid: int) -> None:
        try:
            await self._shared.casualties.count(pid)
        except NOT_NOW:
            return

    async def _start(self, name: str) -> None:
        """Start a role as whatever keeps it would: again and again until it stays."""
        while True:
            try:
                await self._world.start_role(name)
                break
            except AssertionError:
                self._shared.tally.done["start that failed"] += 1
                await asyncio.sleep(0.5)
        self._shared.down.discard(name)
