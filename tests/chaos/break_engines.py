"""Engines that break: Envoy, Postgres, RabbitMQ (also without its disk) and MongoDB are killed, or stand still."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence

from cli.engines import processes
from tests.chaos.breakage import Acts, Breakage, Looks, true
from tests.chaos.world import LEASE_SECONDS, Engine, kill_postgres


class Engines:
    """Breaks engines."""

    def __init__(self, shared: Breakage) -> None:
        self._shared = shared
        self._world = shared.world

    def acts(self) -> Acts:
        """Answer what can be done to them."""
        return {
            "kill envoy": self._kill_envoy,
            "kill postgres": self._kill_postgres,
            "kill rabbitmq": self._kill_rabbitmq,
            "kill rabbitmq without its disk": self._wipe_rabbitmq,
            "kill mongodb": self._kill_mongodb,
            **{f"pause {name}": self._pauser(name) for name in ("postgres", "broker", "documents", "envoy")},
        }

    async def _kill_envoy(self) -> None:
        assert self._world.envoy is not None
        while "envoy" in self._shared.down:
            await asyncio.sleep(0.1)
        hit = await self._shared.wait(lambda: true(self._shared.sender.open > 0))
        self._world.envoy.kill()
        self._shared.tally.note("kill envoy", hit)
        await asyncio.sleep(self._shared.chance.uniform(0.1, 0.5))
        self._world.envoy.start()
        await self._world.envoy.ready()

    async def _kill_postgres(self) -> None:
        hit = await self._shared.wait(lambda: true(any(proxy.busy for proxy in self._world.proxies.values())))
        begun = time.time()
        kill_postgres(self._world)
        self._shared.tally.note("kill postgres", hit)
        await asyncio.sleep(self._shared.chance.uniform(0.1, 2))
        await self._world.postgres.call("start")
        self._shared.hurts(begun)

    async def _kill_rabbitmq(self) -> None:
        await self._kill_engine("kill rabbitmq", "broker", self._world.broker, self._shared.is_anything_on_its_way)

    async def _wipe_rabbitmq(self) -> None:
        kind = "kill rabbitmq without its disk"
        await self._kill_engine(kind, "broker", self._world.broker, self._shared.is_anything_on_its_way, wipe=True)

    async def _kill_mongodb(self) -> None:
        self._shared.traffic.upload_now()  # one takes so little time that none may be on its way
        await self._kill_engine("kill mongodb", "documents", self._world.documents, self._shared.is_an_upload_on)

    async def _kill_engine(
        self, kind: str, name: str, engine: Engine | None, in_flight: Looks, *, wipe: bool = False
    ) -> None:
        assert engine is not None
        while name in self._shared.down:
            await asyncio.sleep(0.1)
        hit = await self._shared.wait(in_flight)
        self._shared.down.add(name)
        await engine.call("kill")
        self._shared.tally.note(kind, hit)

        async def again() -> None:
            if wipe:
                await engine.call("delete_disk")
            await engine.call("start")
            self._shared.down.discard(name)

        self._shared.later(again(), 0.1, 2)

    def _pauser(self, name: str) -> Callable[[], Awaitable[None]]:
        """Let every process of an engine stand still for longer than a lease."""
        looks: dict[str, Looks] = {
            "postgres": lambda: true(any(proxy.busy for proxy in self._world.proxies.values())),
            "broker": self._shared.is_anything_on_its_way,
            "documents": self._shared.is_an_upload_on,
            "envoy": lambda: true(self._shared.sender.open > 0),
        }

        async def pause() -> None:
            while name in self._shared.down:
                await asyncio.sleep(0.1)
            if name == "documents":
                self._shared.traffic.upload_now()
            hit = await self._shared.wait(looks[name])
            begun = time.time()
            family = processes.family(self._pid(name))
            self._shared.down.add(name)
            _signal(family, signal.SIGSTOP)
            self._shared.tally.note(f"pause {name}", hit)

            async def go_on() -> None:
                _signal(family, signal.SIGCONT)
                if name == "postgres":
                    self._shared.hurts(begun)
                self._shared.down.discard(name)

            # The others' turns need a database to look into, so that one is waited for here.
            seconds = self._shared.chance.uniform(LEASE_SECONDS + 1, LEASE_SECONDS + 3)
            if name == "postgres":
                await asyncio.sleep(seconds)
                await go_on()
            else:
                self._shared.later(go_on(), seconds, seconds)

        return pause

    def _pid(self, name: str) -> int:
        if name == "envoy":
            assert self._world.envoy is not None
            return self._world.envoy.pid
        engines = {
            "postgres": self._world.postgres,
            "broker": self._world.broker,
            "documents": self._world.documents,
        }
        engine = engines[name]
        assert engine is not None
        pid: int = engine.made.pid
        return pid


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
