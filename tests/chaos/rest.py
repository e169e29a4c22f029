"""Waiting until a system that was left alone has nothing more to do."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg

from tests.chaos.world import World

_OPEN = (
    "SELECT (SELECT count(*) FROM webhooks.deliveries WHERE state = 'RECEIVED') AS deliveries, "
    "(SELECT count(*) FROM webhooks.outbox) AS outbox, "
    "(SELECT count(*) FROM review.inbox WHERE state = 'RECEIVED') AS inbox, "
    "(SELECT count(*) FROM review.runs WHERE state IN ('QUEUED', 'RUNNING')) AS runs"
)
# Waits for a host or a role that was away grow to minutes: once everything is up again they are not worth their time.
_HURRY = (
    "UPDATE review.runs SET available_at = clock_timestamp() "
    "WHERE state = 'QUEUED' AND available_at > clock_timestamp() + interval '2 seconds' RETURNING id"
)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Wait until a condition holds; raises AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(0.1)


async def settle(world: World, seconds: float) -> tuple[float, int, dict[str, int]]:
    """Wait until nothing is to be done: answers the seconds it took, the waits cut short, and what is left open."""
    begun = time.monotonic()
    hurried: set[object] = set()
    left: dict[str, int] = {}
    while time.monotonic() - begun < seconds:
        try:
            left = dict((await world.query(_OPEN))[0])
            hurried |= {row["id"] for row in await world.query(_HURRY)}
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            left = {"postgres": 1}
        if not any(left.values()):
            break
        await asyncio.sleep(0.25)
    return time.monotonic() - begun, len(hurried), {name: count for name, count in left.items() if count}


class Casualties:
    """Which runs lost their worker, and how often: three times is the system's own limit, and no fault of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kills: dict[object, int] = {}

    async def of(self, pid: int) -> list[object]:
        """Answer the runs that a worker process has."""
        rows = await self._world.query(
            "SELECT id FROM review.runs WHERE state = 'RUNNING' AND worker LIKE $1", f"%:{pid}"
        )
        return [row["id"] for row in rows]

    async def doubtful(self, pid: int | None = None) -> int:
        """How many model calls are begun and not recorded, by the runs of a worker process or of all."""
        rows = await self._world.query(
            "SELECT FROM review.checkpoints c JOIN review.runs r ON r.id = c.run_id "
            "WHERE NOT c.is_done AND r.state = 'RUNNING' AND ($1::text IS NULL OR r.worker LIKE '%:' || $1)",
            None if pid is None else str(pid),
        )
        return len(rows)

    async def count(self, pid: int) -> int:
        """Note that a worker process was hit; answers how many runs it had."""
        runs = await self.of(pid)
        for run in runs:
            self._kills[run] = self._kills.get(run, 0) + 1
        return len(runs)

    async def spared(self, pids: list[int]) -> bool:
        """Whether none of these processes has a run that was hit twice."""
        ids = [run for run, kills in self._kills.items() if kills >= 2]
        if not ids:
            return True
        rows = await self._world.query(
            "SELECT FROM review.runs WHERE id = ANY($1) AND (state = 'QUEUED' OR state = 'RUNNING' AND "
            "split_part(worker, ':', 2)::int = ANY($2))",
            ids,
            pids,
        )
        return not rows
