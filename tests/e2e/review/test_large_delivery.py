"""A delivery as large as the limit, made to be slow to read: what else the process serves goes on."""

import asyncio
import time

from emulators.github import deliver, make_delivery
from services.webhooks.hosts.base import ParseError
from services.webhooks.hosts.github.parse import parse
from tests.support.system import SECRET, System

HOSTILE = b'{"action":[' + b"{}," * 6_000_000 + b"1]}"
HEADERS = {"x-github-event": "pull_request", "content-type": "application/json"}


async def test_reading_a_large_delivery_does_not_hold_up_the_rest(system: System) -> None:
    began = time.perf_counter()
    assert isinstance(parse(HEADERS, HOSTILE), ParseError)
    alone = time.perf_counter() - began
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.01)
            longest = max(longest, time.perf_counter() - began)

    answer = await deliver(system.github_webhook, make_delivery("pull_request", HOSTILE, secret=SECRET), timeout=30)
    watching = asyncio.create_task(watch())
    await system.settled()
    watching.cancel()
    assert answer.status == 202
    (row,) = await system.rows("SELECT state, reason FROM webhooks.deliveries")
    assert (row["state"], row["reason"]) == ("FAILED", "action is missing or not a text")
    assert longest < alone / 2
