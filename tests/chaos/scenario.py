"""One seed from beginning to end: a world, its traffic, what breaks meanwhile, rest, and the verdict."""

import asyncio
import random
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos import reader
from tests.chaos.driver import Driver
from tests.chaos.history import write_history
from tests.chaos.rest import settle
from tests.chaos.sender import Sender
from tests.chaos.traffic import Traffic, script
from tests.chaos.world import WITH_BROKER, running_world


@dataclass(frozen=True, slots=True)
class Form:
    """How much of everything."""

    name: str
    pull_requests: int
    pushes: int  # heads of a pull request, at most
    seconds: float  # after which nothing more is broken
    hostile: int
    uploads: int
    breaks: dict[str, int] = field(hash=False)
    gap: float  # seconds between two of them, on average
    rest_seconds: float = 120.0  # to settle in, at most


LONG = Form(
    name="long",
    pull_requests=60,
    pushes=5,
    seconds=100,
    hostile=30,
    uploads=40,
    breaks={
        "kill worker": 6,
        "kill relay": 6,
        "kill intake": 6,
        "kill gateway": 6,
        "kill models": 6,
        "kill envoy": 6,
        "kill postgres": 6,
        "kill rabbitmq": 5,
        "kill rabbitmq without its disk": 5,
        "kill mongodb": 5,
        "pause worker": 5,
        "pause intake": 2,
        "pause relay": 1,
        "pause gateway": 1,
        "pause postgres": 1,
        "pause broker": 1,
        "pause documents": 1,
        "pause envoy": 1,
        "restart worker": 2,
        "restart relay": 2,
        "restart intake": 1,
        "restart gateway": 1,
        "restart models": 1,
        "freeze connections": 5,
        "cut connections": 6,
        "fail host": 20,
    },
    gap=0.5,
)
SHORT = Form(
    name="short",
    pull_requests=14,
    pushes=3,
    seconds=150,
    hostile=5,
    uploads=6,
    breaks={
        "kill worker": 1,
        "kill relay": 1,
        "kill intake": 1,
        "kill gateway": 1,
        "kill models": 1,
        "kill envoy": 1,
        "kill postgres": 1,
        "kill rabbitmq without its disk": 1,
        "kill mongodb": 1,
        "pause worker": 2,
        "freeze connections": 1,
        "cut connections": 1,
        "fail host": 5,
    },
    gap=0.2,
)


async def run_seed(seed: int, form: Form, *, module: str = "services", keep_logs: Path | None = None) -> dict[str, Any]:
    """Answer what happened, as one row of the results; `violations` is empty where the promise held."""
    begun = time.monotonic()
    chance = {part: random.Random(f"{seed}:{part}") for part in ("history", "traffic", "sending", "breaking")}
    place = Path(tempfile.mkdtemp(prefix="lr-"))
    try:
        changes = write_history(place / "r", form.pull_requests, form.pushes, chance["history"])
        steps = script(chance["traffic"], changes, form.hostile, form.uploads)
        async with running_world(place / "r", WITH_BROKER, module=module) as world:
            started = time.monotonic()
            sender = Sender(world.webhook_url)
            traffic = Traffic(world, sender, changes, chance["sending"])
            driver = Driver(world, sender, traffic, chance["breaking"])
            playing = asyncio.create_task(traffic.play(steps, driver.progress))
            try:
                await driver.run(driver.plan(form.breaks), form.gap, form.seconds)
                await driver.mend()
                await playing
            finally:
                playing.cancel()
                await sender.close()
            broken = time.monotonic()
            host_failures: int = await world.github("heal")
            settled, hurried, left = await settle(world, form.rest_seconds)
            heads = {number: change.heads for number, change in enumerate(changes, start=1)}
            host, model = await world.github("record"), await world.model("record")
            hits = driver.tally.hits([call["time"] for call in model["calls"]])
            found, seen = await reader.read(world.dsn, sender.sent, host, model, hits, heads, traffic.uploaded)
            if keep_logs is not None:
                shutil.copytree(world.directory / "logs", keep_logs, dirs_exist_ok=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    accepted = sum(sent.stored for sent in sender.sent.values())
    return {
        "seed": seed,
        "form": form.name,
        "seconds": round(time.monotonic() - begun, 1),
        "seconds of start, chaos, rest": [round(x, 1) for x in (started - begun, broken - started, settled)],
        "pull requests": form.pull_requests,
        "requests": sender.requests,
        "deliveries": len(sender.sent),
        "deliveries answered 2xx": accepted,
        "hostile": sum(bool(sent.hostile) for sent in sender.sent.values()),
        "redeliveries": sender.redeliveries,
        "uploads": len(traffic.uploaded),
        "hit of done": {kind: f"{driver.tally.hit[kind]}/{done}" for kind, done in sorted(driver.tally.done.items())},
        "seconds by kind": {kind: round(spent, 1) for kind, spent in sorted(driver.tally.seconds.items())},
        "host failures met": host_failures,
        "calls that a crash hit": hits,
        "waits cut short at rest": hurried,
        **reader.totals(seen),
        "left": left,
        "violations": [str(violation) for violation in found],
    }
