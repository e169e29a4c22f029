"""`python -m tests.chaos.claimers DSN COUNT`: claims runs until none is left, and says so, one line of JSON each time.

Of each ten runs one is put back once, and one is dropped once, as by a worker that died: its lease runs out.
"""

import asyncio
import json
import os
import sys
from datetime import timedelta
from uuid import UUID

from services.kit.postgres.pool import Database
from services.kit.telemetry import log
from services.review.domain import PutBack, Run, RunState
from services.review.runs import Runs

LEASE = timedelta(seconds=2)


async def main(dsn: str, count: int) -> None:
    log.setup("error")  # standard output is for claims
    async with Database(dsn, "review", max_size=count + 1) as database:
        runs = Runs(database, LEASE)
        done = asyncio.Event()
        rescuer = asyncio.create_task(_rescue(runs, done))
        await asyncio.gather(*(_claim(runs, f"{os.getpid()}-{number}", done) for number in range(count)))
        await rescuer


async def _claim(runs: Runs, name: str, done: asyncio.Event) -> None:
    while not done.is_set():
        run = await runs.claim(name)
        if run is None:
            await asyncio.sleep(0.05)
            continue
        print(json.dumps([run.id.hex, run.epoch, name]), flush=True)
        await _carry(runs, run)


async def _carry(runs: Runs, run: Run) -> None:
    kind = _kind(run.id) if run.epoch == 1 else "finish"
    if kind == "put back":
        await runs.put_back(run, PutBack.WAIT, "a claimer waits", timedelta())
    elif kind == "finish":
        await runs.heartbeat(run)
        await runs.finish(run, RunState.COMPLETED)


def _kind(run_id: UUID) -> str:
    return {0: "put back", 1: "drop"}.get(run_id.int % 10, "finish")


async def _rescue(runs: Runs, done: asyncio.Event) -> None:
    """Rescue what was dropped; a line on standard input ends everything."""
    stopped = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    while not stopped.done():
        if not await runs.rescue():
            await asyncio.wait([stopped], timeout=0.2)
    done.set()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
