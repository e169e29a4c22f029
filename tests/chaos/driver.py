"""What breaks, and when: drawn from the seed, done when it hits work in flight, and mended a moment later.

A process is stopped first and looked at then: if nothing of it was in flight it goes on, and another moment is awaited.
So what is counted as a hit was one.
"""

import asyncio
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from cli.engines import processes
from tests.chaos.proxy import Proxy
from tests.chaos.rest import Casualties
from tests.chaos.sender import Sender
from tests.chaos.traffic import Traffic
from tests.chaos.world import LEASE_SECONDS, PUBLICATION_LEASE_SECONDS, Engine, World, kill_postgres

ROLES = ("worker", "relay", "intake", "gateway", "models")
_HOST_OPERATIONS = (
    "pulls/get",
    "pulls/list-files",
    "pulls/list-reviews",
    "pulls/create-review",
    "pulls/submit-review",
    "pulls/update-review",
)
_HOST_FAILURES = ("500", "502", "429", "close", "stall")
_CALL_SECONDS = 0.5  # what a call takes here, and a little
_PATIENCE = 6.0  # seconds to wait for work in flight of a kind
Looks = Callable[[], Awaitable[bool]]
_NOT_NOW = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


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


class Driver:
    """Breaks a world. `plan` is drawn once; `run` goes through it, and leaves everything mended."""

    def __init__(self, world: World, sender: Sender, traffic: Traffic, chance: random.Random) -> None:
        self.world = world
        self.tally = Tally()
        self.casualties = Casualties(world)
        self._sender = sender
        self._traffic = traffic
        self._chance = chance
        self._down: set[str] = set()
        self._mending: set[asyncio.Task[None]] = set()
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
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            **{f"kill {role}": self._killer(role) for role in ROLES},
            "kill envoy": self._kill_envoy,
            "kill postgres": self._kill_postgres,
            "kill rabbitmq": self._kill_rabbitmq,
            "kill rabbitmq without its disk": self._wipe_rabbitmq,
            "kill mongodb": self._kill_mongodb,
            "pause worker": self._pauser("worker", LEASE_SECONDS),
            "pause intake": self._pauser("intake", PUBLICATION_LEASE_SECONDS),
            "pause relay": self._pauser("relay", LEASE_SECONDS),
            "pause gateway": self._pauser("gateway", LEASE_SECONDS),
            **{
                f"pause {engine}": self._engine_pauser(engine)
                for engine in ("postgres", "broker", "documents", "envoy")
            },
            **{f"restart {role}": self._restarter(role) for role in ROLES},
            "freeze connections": self._freeze,
            "cut connections": self._cut,
            "fail host": self._fail_host,
        }
        begun = time.monotonic()
        for number, kind in enumerate(kinds):
            since = time.monotonic()
            if since - begun > longest:
                break
            self._progress = (number, len(kinds), since, (since - begun) / max(number, 1))
            await acts[kind]()
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
        await self.world.github("heal")
        while self._mending:
            await asyncio.gather(*self._mending)

    # What is in flight

    async def _in_flight(self, role: str, name: str) -> bool:
        """Whether a process that stands still has something in its hands."""
        busy = self.world.proxies[name].busy
        if role == "worker":
            return bool(await self.casualties.of(self.world.roles[name].pid))
        if role == "relay":
            return busy and await self._is_anything_on_its_way()
        if role == "intake":
            return busy or bool(await self.world.github("open_requests"))
        if role == "models":
            return bool(await self.world.model("open_requests"))
        return self._sender.open > 0 or self._traffic.uploads_open > 0

    async def _is_anything_on_its_way(self) -> bool:
        """Whether a delivery waits to be handled, or an envelope has not arrived."""
        rows = await self.world.query(
            "SELECT EXISTS (SELECT FROM webhooks.deliveries WHERE state = 'RECEIVED') OR EXISTS (SELECT FROM "
            "webhooks.outbox o WHERE NOT EXISTS (SELECT FROM review.inbox i WHERE i.id = o.id)) AS found"
        )
        return bool(rows[0]["found"])

    async def _catch(self, role: str) -> tuple[str, bool]:
        """Stop a process of a role with work in flight; answers which, and whether it has some after all."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            names = [n for n in self.world.roles if n.startswith(role) and n not in self._down]
            if names:
                name = self._chance.choice(names)
                process = self.world.roles[name]
                process.pause()
                try:
                    hit = await self._in_flight(role, name)
                    spared = role != "worker" or await self.casualties.spared([process.pid])
                except _NOT_NOW:
                    hit = spared = False
                late = time.monotonic() > deadline
                if (hit or late) and spared:
                    return name, hit
                process.resume()
            await asyncio.sleep(self._chance.uniform(0.005, 0.05))

    def _hurts(self, begun: float) -> None:
        """Note that model calls of this time, from `begun` until now, may have lost their answer."""
        self.tally.windows.append((begun - _CALL_SECONDS, time.time() + _CALL_SECONDS))

    # Roles

    def _killer(self, role: str) -> Callable[[], Awaitable[None]]:
        async def kill() -> None:
            name, hit = await self._catch(role)
            process = self.world.roles[name]
            begun = time.time()
            if role == "worker":
                await self._count(process.pid)
            self._down.add(name)
            process.kill()
            self.tally.note(f"kill {role}", hit)

            async def again() -> None:
                if role == "worker":
                    self._hurts(begun)
                await self._start(name)
                if role == "models":
                    self._hurts(begun)

            self._later(again(), 0.1, 1.5)

        return kill

    def _pauser(self, role: str, lease: float) -> Callable[[], Awaitable[None]]:
        async def pause() -> None:
            name, hit = await self._catch(role)
            process = self.world.roles[name]
            begun = time.time()
            if role == "worker":
                await self._count(process.pid)
            self._down.add(name)
            self.tally.note(f"pause {role}", hit)

            async def resume() -> None:
                process.resume()
                if role == "worker":
                    self._hurts(begun)
                self._down.discard(name)

            self._later(resume(), lease + 1, lease + 3)

        return pause

    def _restarter(self, role: str) -> Callable[[], Awaitable[None]]:
        async def restart() -> None:
            name, hit = await self._catch(role)
            self._down.add(name)
            begun = time.time()
            self.tally.note(f"restart {role}", hit)

            async def again() -> None:
                await asyncio.to_thread(self.world.roles[name].stop)
                await self._start(name)
                if role in ("worker", "models"):
                    self._hurts(begun)

            self._later(again(), 0, 0)

        return restart

    async def _count(self, pid: int) -> None:
        try:
            await self.casualties.count(pid)
        except _NOT_NOW:
            return

    async def _start(self, name: str) -> None:
        """Start a role as whatever keeps it would: again and again until it stays."""
        while True:
            try:
                await self.world.start_role(name)
                break
            except AssertionError:
                self.tally.done["start that failed"] += 1
                await asyncio.sleep(0.5)
        self._down.discard(name)

    # Engines

    async def _kill_envoy(self) -> None:
        assert self.world.envoy is not None
        while "envoy" in self._down:
            await asyncio.sleep(0.1)
        hit = await self._wait(lambda: _true(self._sender.open > 0))
        self.world.envoy.kill()
        self.tally.note("kill envoy", hit)
        await asyncio.sleep(self._chance.uniform(0.1, 0.5))
        self.world.envoy.start()
        await self.world.envoy.ready()

    async def _kill_postgres(self) -> None:
        hit = await self._wait(lambda: _true(any(proxy.busy for proxy in self.world.proxies.values())))
        begun = time.time()
        kill_postgres(self.world)
        self.tally.note("kill postgres", hit)
        await asyncio.sleep(self._chance.uniform(0.1, 2))
        await self.world.postgres.call("start")
        self._hurts(begun)

    async def _kill_rabbitmq(self) -> None:
        await self._kill_engine("kill rabbitmq", "broker", self.world.broker, self._is_anything_on_its_way)

    async def _wipe_rabbitmq(self) -> None:
        kind = "kill rabbitmq without its disk"
        await self._kill_engine(kind, "broker", self.world.broker, self._is_anything_on_its_way, wipe=True)

    async def _kill_mongodb(self) -> None:
        self._traffic.upload_now()  # one takes so little time that none may be on its way
        await self._kill_engine("kill mongodb", "documents", self.world.documents, self._is_an_upload_on)

    async def _is_an_upload_on(self) -> bool:
        rows = await self.world.query(
            "SELECT EXISTS (SELECT FROM review.runs r JOIN review.pull_requests p ON p.id = r.pull_request_id "
            "WHERE p.host = 'local' AND r.state IN ('QUEUED', 'RUNNING')) AS found"
        )
        return self._traffic.uploads_open > 0 or bool(rows[0]["found"])

    async def _kill_engine(
        self, kind: str, name: str, engine: Engine | None, in_flight: Looks, *, wipe: bool = False
    ) -> None:
        assert engine is not None
        while name in self._down:
            await asyncio.sleep(0.1)
        hit = await self._wait(in_flight)
        self._down.add(name)
        await engine.call("kill")
        self.tally.note(kind, hit)

        async def again() -> None:
            if wipe:
                await engine.call("delete_disk")
            await engine.call("start")
            self._down.discard(name)

        self._later(again(), 0.1, 2)

    def _engine_pauser(self, name: str) -> Callable[[], Awaitable[None]]:
        """Let every process of an engine stand still for longer than a lease."""
        looks: dict[str, Looks] = {
            "postgres": lambda: _true(any(proxy.busy for proxy in self.world.proxies.values())),
            "broker": self._is_anything_on_its_way,
            "documents": self._is_an_upload_on,
            "envoy": lambda: _true(self._sender.open > 0),
        }

        async def pause() -> None:
            while name in self._down:
                await asyncio.sleep(0.1)
            if name == "documents":
                self._traffic.upload_now()
            hit = await self._wait(looks[name])
            begun = time.time()
            family = processes.family(self._pid(name))
            self._down.add(name)
            _signal(family, signal.SIGSTOP)
            self.tally.note(f"pause {name}", hit)

            async def go_on() -> None:
                _signal(family, signal.SIGCONT)
                if name == "postgres":
                    self._hurts(begun)
                self._down.discard(name)

            # The others' turns need a database to look into, so that one is waited for here.
            seconds = self._chance.uniform(LEASE_SECONDS + 1, LEASE_SECONDS + 3)
            if name == "postgres":
                await asyncio.sleep(seconds)
                await go_on()
            else:
                self._later(go_on(), seconds, seconds)

        return pause

    def _pid(self, name: str) -> int:
        if name == "envoy":
            assert self.world.envoy is not None
            return self.world.envoy.pid
        engines = {"postgres": self.world.postgres, "broker": self.world.broker, "documents": self.world.documents}
        engine = engines[name]
        assert engine is not None
        pid: int = engine.made.pid
        return pid

    # The network, and the code host

    def _links(self) -> dict[str, Proxy]:
        links = {n: p for n, p in self.world.proxies.items() if n not in self._down and p.backends}
        more = {"broker": self.world.broker_proxy, "documents": self.world.documents_proxy}
        return links | {n: p for n, p in more.items() if p is not None and n not in self._down}

    async def _is_anything_on(self) -> bool:
        return await self._is_anything_on_its_way() or await self._is_an_upload_on()

    async def _freeze(self) -> None:
        name = self._chance.choice(sorted(self._links()))
        proxy = self._links()[name]
        hit = await self._wait(lambda: _true(proxy.busy)) if proxy.backends else await self._wait(self._is_anything_on)
        begun = time.time()
        self._down.add(name)
        self.tally.note("freeze connections", hit)
        proxy.freeze()

        async def thaw() -> None:
            self._hurts(begun)
            if self._chance.random() < 0.5:
                proxy.cut()  # half-open for a while, then gone
            proxy.thaw()
            self._down.discard(name)

        self._later(thaw(), 1, LEASE_SECONDS + 2)

    async def _cut(self) -> None:
        links = self._links()
        hit = await self._wait(lambda: _true(any(link.busy for link in links.values())))
        busy = [name for name, link in links.items() if link.busy]
        name = self._chance.choice(sorted(busy or links))
        self._hurts(time.time())
        self.tally.note("cut connections", links[name].cut() > 0 and hit)

    async def _fail_host(self) -> None:
        operation, how = self._chance.choice(_HOST_OPERATIONS), self._chance.choice(_HOST_FAILURES)
        when = self._chance.choice(("before", "after"))
        await self.world.github("fail", operation, when, how, self._chance.randint(1, 3))
        self.tally.note("fail host", True)
        if how == "stall":

            async def heal() -> None:
                await self.world.github("heal")

            self._later(heal(), 1, 4)

    # Waiting

    async def _wait(self, in_flight: Looks) -> bool:
        """Wait for work in flight, but not for ever."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            try:
                if await in_flight():
                    return True
            except _NOT_NOW:
                pass
            await asyncio.sleep(0.003)
        return False

    def _later(self, work: "Awaitable[None]", least: float, most: float) -> None:
        seconds = self._chance.uniform(least, most)

        async def mend() -> None:
            await asyncio.sleep(seconds)
            await work

        task = asyncio.create_task(mend())
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


async def _true(value: bool) -> bool:
    return value
