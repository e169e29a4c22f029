"""What every service does about its own tables now and then: forgets what is over, and measures what is not."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from services.kit.postgres.pool import Connection, Database
from services.kit.telemetry import metrics

BATCH = 500  # rows forgotten in one transaction
PRUNE_SECONDS = 60.0  # between rounds
MEASURE_SECONDS = 15.0
MOST = 100_000  # rows that are counted; more are as bad

Forget = Callable[[Connection, int], Awaitable[int]]  # up to so many rows; answers how many


@dataclass(frozen=True, slots=True)
class Measured:
    """Which column of a measurement is which gauge: rows in a state, dead letters of a kind, age of the oldest."""

    rows: Mapping[str, tuple[str, str]]
    dead: Mapping[str, str]
    oldest: Mapping[str, str]


class Upkeep:
    """Two steps for loops; any number of processes may run them, as each row is forgotten once."""

    def __init__(
        self,
        database: Database,
        forget: Mapping[str, Forget],
        measure: Callable[[Connection, int], Awaitable[Mapping[str, float | None]]],
        measured: Measured,
    ) -> None:
        self._database = database
        self._forget = forget
        self._measure = measure
        self._measured = measured
        metrics.from_zero(metrics.PRUNED, forget)
        self._show(dict.fromkeys([*measured.rows, *measured.dead, *measured.oldest]))

    async def prune(self) -> bool:
        """Forget a batch of each table; True if there may be more."""
        more = False
        for table, forget in self._forget.items():
            async with self._database.queue() as connection:
                count = await forget(connection, BATCH)
            metrics.PRUNED.labels(table).inc(count)
            more = more or count >= BATCH
        return more

    async def measure(self) -> bool:
        """Set the gauges; False, as there is nothing more to do then."""
        async with self._database.queue() as connection:
            self._show(await self._measure(connection, MOST))
        return False

    def _show(self, values: Mapping[str, float | None]) -> None:
        for column, (queue, state) in self._measured.rows.items():
            metrics.QUEUE_ROWS.labels(queue, state).set(values[column] or 0)
        for column, kind in self._measured.dead.items():
            metrics.DEAD_LETTERS.labels(kind).set(values[column] or 0)
        for column, queue in self._measured.oldest.items():
            metrics.QUEUE_OLDEST.labels(queue).set(values[column] or 0)
