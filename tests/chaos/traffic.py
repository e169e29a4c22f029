"""What happens on the code host while everything breaks: pull requests, pushes, webhooks of all kinds, uploads.

All that is random is drawn from the seed before the first request; how long things take is not.
"""

import asyncio
import json
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from emulators.github import make_delivery
from tests.chaos.history import Change
from tests.chaos.sender import Sender
from tests.chaos.world import SECRET, World

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens on the code host, and what becomes of its webhook."""

    at: float  # of the run, from 0 to 1
    action: str  # opened, synchronize, closed, reopened, edited, hostile, upload
    number: int = 0
    head: int = 0  # the place of the head among those of the pull request
    delay: float = 0.0  # between what happens and its webhook: later ones overtake it
    again: tuple[float, ...] = ()  # seconds after which the code host sends the same once more
    patience: int = 0  # how often an operator sends again what got no 2xx


def script(chance: random.Random, changes: Sequence[Change], hostile: int, uploads: int) -> list[Step]:
    """Draw what happens, in the order in which it does."""
    steps: list[Step] = []

    def add(at: float, action: str, number: int, head: int, *, sure: bool = False) -> None:
        delay = chance.uniform(0.5, 4) if chance.random() < 0.2 else 0.0
        again = tuple(chance.uniform(0.0, 5) for _ in range(chance.choice((0, 0, 1, 1, 2, 3))))
        patience = 1000 if sure else chance.choice((0, 1, 3, 10))
        steps.append(Step(at, action, number, head, delay, again, patience))

    for number, change in enumerate(changes, start=1):
        begin = chance.uniform(0, 0.6)
        pushes = chance.randint(2, len(change.heads)) - 1
        times = sorted(chance.uniform(begin, 0.95) for _ in range(pushes))
        add(begin, "opened", number, 0, sure=not times and chance.random() < 0.9)
        for head, at in enumerate(times, start=1):
            add(at, "synchronize", number, head, sure=head == pushes and chance.random() < 0.9)
        if chance.random() < 0.5:
            add(chance.uniform(begin, 0.95), "edited", number, -1)
        if chance.random() < 0.15:
            at = chance.uniform(begin, 0.8)
            add(at, "closed", number, -1)
            add(at + chance.uniform(0.001, 0.1), "reopened", number, -1, sure=True)
    steps += [Step(chance.uniform(0, 1), "hostile") for _ in range(hostile)]
    steps += [Step(chance.uniform(0, 0.95), "upload", patience=100) for _ in range(uploads)]
    return sorted(steps, key=lambda step: step.at)


def hostile_delivery(chance: random.Random) -> tuple[str, Headers, bytes]:
    """Draw a body that nobody should fall over: what is wrong, headers, bytes. All but the forged are signed."""
    good = {"action": "opened", "number": 1, "pull_request": {"head": {"sha": "f" * 40}}}
    bodies: dict[str, bytes] = {
        "forged": json.dumps(good).encode(),
        "cut off": json.dumps(good).encode()[:-7],
        "deep": b'{"action":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        "no object": b"[1, 2, 3]",
        "empty": b"",
        "not UTF-8": b'{"action": "\xff\xfe\x80"}',
        "half a character": b'{"action": "opened", "number": 1, "pull_request": {"head": {"sha": "\\ud800"}}}',
        "huge number": b'{"action": "opened", "number": 1' + b"0" * 4000 + b"}",
        "wrong types": b'{"action": ["opened"], "number": "1", "pull_request": 7, "repository": null}',
        "NUL": b'{"action": "opened\\u0000", "number": 1, "pull_request": {"head": {"sha": "\\u0000"}}}',
        "nothing else": b'{"action": "synchronize"}',
    }
    name = chance.choice(sorted(bodies))
    secret = "somebody else's" if name == "forged" else SECRET
    identity = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    delivery = make_delivery("pull_request", bodies[name], secret=secret, delivery_id=identity)
    return name, delivery.headers, delivery.body


@dataclass
class Traffic:
    """Plays a script against a world."""

    world: World
    sender: Sender
    changes: Sequence[Change]
    chance: random.Random
    uploaded: list[str] = field(default_factory=list)  # ids of local reviews that were accepted
    uploads_open: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _last: dict[int, int] = field(default_factory=dict)

    async def play(self, steps: Sequence[Step], progress: Callable[[], float]) -> None:
        """Return when everything has happened and been sent, or been given up; `progress` says how far the run is."""
        for step in steps:
            while step.at > progress():
                await asyncio.sleep(0.02)
            if step.action == "hostile":
                what, headers, body = hostile_delivery(self.chance)
                self._spawn(self._send(headers, body, 0, "", Step(0, "hostile", patience=5), hostile=what))
            elif step.action == "upload":
                self._spawn(self._upload(step))
            else:
                await self._happen(step)
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def upload_now(self) -> None:
        """Begin an upload that the script does not have."""
        self._spawn(self._upload(Step(0, "upload", patience=100)))

    async def _happen(self, step: Step) -> None:
        change = self.changes[step.number - 1]
        if step.action == "opened":
            await self.world.github("open_pull", change.heads[0], change.base, step.number)
        elif step.action == "synchronize":
            await self.world.github("push", step.number, change.heads[step.head])
        elif step.action in ("closed", "reopened"):
            await self.world.github({"closed": "close", "reopened": "reopen"}[step.action], step.number)
        if step.head >= 0:
            self._last[step.number] = step.head
        delivery = await self.world.github("webhook", step.action, step.number, SECRET)
        head = change.heads[self._last[step.number]]
        headers, body = delivery["headers"], delivery["body"].encode()
        self._spawn(self._send(headers, body, step.number, head, step, before=step.delay))
        for seconds in step.again:
            self._spawn(self._send(headers, body, step.number, head, Step(0, "again"), before=step.delay + seconds))

    async def _send(
        self,
        headers: Headers,
        body: bytes,
        number: int,
        head: str,
        step: Step,
        *,
        hostile: str = "",
        before: float = 0.0,
    ) -> None:
        await asyncio.sleep(before)
        for attempt in range(step.patience + 1):
            if attempt:
                self.sender.redeliveries += 1
            status, _ = await self.sender.send(headers, body, number, head, hostile)
            if 200 <= status < 300 or status in (400, 401, 413, 415):
                return
            await asyncio.sleep(1)

    async def _upload(self, step: Step) -> None:
        """Have a change reviewed that is nowhere on the host; the key makes one of what is sent again."""
        name = f"local{self.chance.getrandbits(32)}"
        diff = (
            f"diff --git a/{name}.py b/{name}.py\nnew file mode 100644\n--- /dev/null\n+++ b/{name}.py\n"
            "@@ -0,0 +1,2 @@\n+import subprocess\n+subprocess.run(input(), shell=True)\n"
        )
        headers = {"Authorization": f"Bearer {self.world.api_key}", "Idempotency-Key": name}
        self.uploads_open += 1
        try:
            async with httpx2.AsyncClient(trust_env=False, timeout=15) as client:
                for _ in range(step.patience):
                    answer = await _attempt(
                        lambda: client.post(
                            f"{self.world.edge_url}/codeReview/local",
                            json={"diff": diff, "options": {"noModel": True}},
                            headers=headers,
                        )
                    )
                    if answer is not None and answer.status_code < 300:
                        self.uploaded.append(answer.json()["review"]["id"])
                        return
                    await asyncio.sleep(1)
        finally:
            self.uploads_open -= 1

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _attempt(call: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await call()
    except (httpx2.HTTPError, OSError):
        return None
