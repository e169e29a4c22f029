"""Handles what the inbox holds: from the stored row, as often as it takes, never from the bus itself."""

import random
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from lintel.events.v1 import pull_request_pb2

from services.kit import retries
from services.kit.bus.wire import open_envelope, read
from services.kit.errors import AppError
from services.kit.postgres.inbox import NOBODY
from services.kit.postgres.pool import Database, Row
from services.kit.telemetry import log, metrics, trace
from services.review import store
from services.review.domain import Change, PullRequestRef
from services.review.runs import Runs

_logger = log.get("inbox")
metrics.from_zero(metrics.INBOX_HANDLED, ["handled", "received", "dead"])


class Inbox:
    """Turns envelopes into runs. An envelope that nobody can read is DEAD at once, others after some attempts."""

    def __init__(self, database: Database, runs: Runs, luck: Callable[[], float] = random.random) -> None:
        self._database = database
        self._runs = runs
        self._luck = luck

    async def handle_next(self) -> bool:
        """Handle one envelope; True if there was one."""
        async with self._database.queue() as connection:
            row = await store.claim_envelope(connection)
        if row is None:
            return False
        if row["was_claimed"]:
            metrics.RETRIES.labels("envelope", "crash").inc()
        if retries.ENVELOPE_CRASH.is_spent(row["attempts"] - 1):
            await self._settle(row, "DEAD", "its worker stopped each time it was tried")
            return True
        try:
            event, traceparent = open_envelope(row["envelope"])
        except ValueError as error:
            await self._settle(row, "DEAD", str(error))
            return True
        try:
            with trace.span("inbox handle", parent=traceparent, topic=row["topic"]):
                assert isinstance(event, pull_request_pb2.PullRequestChanged), "the only topic there is"
                await self._runs.observe(_owner(row), to_change(event), trace.traceparent())
        except AppError:
            raise  # the database is away: the row comes back by itself
        except Exception as error:
            dead = retries.ENVELOPE_ERROR.is_spent(row["attempts"])
            _logger.exception("envelope failed", envelope_id=str(row["id"]), attempts=row["attempts"])
            delay = retries.ENVELOPE_ERROR.pause(row["attempts"] - 1, self._luck())
            await self._settle(row, "DEAD" if dead else "RECEIVED", type(error).__name__, delay)
            if not dead:
                metrics.RETRIES.labels("envelope", "error").inc()
        else:
            await self._settle(row, "HANDLED")
        return True

    async def _settle(self, row: Row, state: str, reason: str = "", delay: timedelta = timedelta()) -> None:
        async with self._database.queue() as connection:
            await store.settle_envelope(connection, row["id"], row["attempts"], state, reason, delay)
        metrics.INBOX_HANDLED.labels(state.lower()).inc()


def _owner(row: Row) -> UUID:
    """Whose it is: of one that could be read only now, the envelope itself says so."""
    if row["organization_id"] != NOBODY:
        return UUID(str(row["organization_id"]))
    return read(row["envelope"]).organization_id


def to_change(event: pull_request_pb2.PullRequestChanged) -> Change:
    """Read the event in the domain's words."""
    ref = event.ref
    return Change(
        PullRequestRef(ref.host, ref.connection_id, ref.repository_id, ref.repository, ref.number),
        event.action,
        event.head_sha,
        event.base_ref,
    )
