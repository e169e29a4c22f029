"""Use cases around analytics events: record, count, send on where that is configured."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from services.kit.errors import AppError, Reason, Violation
from services.kit.ids import resource_id
from services.kit.postgres.pool import Database, Row
from services.kit.telemetry import log
from services.orgs import event_store as store
from services.orgs.parameters import analytics_days

MAX_BYTES = 32_768  # of the properties as JSON; Segment takes no larger event
WINDOW = timedelta(days=30)
_BATCH = 20
_PATIENCE = timedelta(seconds=60)  # before an event is tried again
_MOST_ATTEMPTS = 10
_logger = log.get("analytics")


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it is sent on; `user` is a user's id, or that of the organisation where nobody is known."""

    id: UUID
    user: str
    name: str
    properties: Mapping[str, object]
    time: datetime


class Destination(Protocol):
    """Where events are sent on to; sending one twice counts it once there."""

    async def send(self, event: Event) -> None:
        """Send an event. Raises AppError: UNAVAILABLE (try again), INVALID_REQUEST (never)."""


def utc_now() -> datetime:
    """Answer the time."""
    return datetime.now(UTC)


class Analytics:
    """Events of one organisation at a time, and the sending on of everybody's."""

    def __init__(
        self, database: Database, destinations: Sequence[Destination] = (), now: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._destinations = destinations
        self._now = now

    async def track(
        self, organization_id: UUID, user_id: UUID | None, event: str, properties: Mapping[str, object]
    ) -> UUID:
        """Record an event and answer its id. Raises AppError(INVALID_REQUEST)."""
        if len(json.dumps(properties).encode()) > MAX_BYTES:
            raise _invalid("properties", f"is longer than {MAX_BYTES} bytes of JSON")
        made, state = resource_id(), "WAITING" if self._destinations else "NONE"
        async with self._database.tenant(organization_id) as connection:
            await store.insert(connection, organization_id, made, user_id, event, properties, state)
            await store.forget(
                connection, organization_id, timedelta(days=await analytics_days(connection, organization_id))
            )
        return made

    async def metrics(
        self, organization_id: UUID, since: datetime | None, until: datetime | None, group_by: str
    ) -> Sequence[Row]:
        """Answer rows of (name, count, users). Raises AppError(INVALID_REQUEST) for times in the wrong order."""
        until = until or self._now()
        since = since or until - WINDOW
        if since >= until:
            raise _invalid("from_time", "must be before `to`")
        async with self._database.tenant(organization_id) as connection:
            return await store.counts(connection, organization_id, since, until, group_by)

    async def forward(self) -> bool:
        """Send on some of the events that wait; False if none does."""
        async with self._database.queue() as connection:
            rows = await store.claim(connection, _BATCH, _PATIENCE)
        for row in rows:
            state = await self._send(row)
            if state:
                async with self._database.queue() as connection:
                    await store.settle(connection, row["organization_id"], row["id"], state)
        return bool(rows)

    async def _send(self, row: Row) -> str:
        """Answer SENT or FAILED; empty: try again later."""
        user = str(row["user_id"] or row["organization_id"])
        event = Event(row["id"], user, row["event"], json.loads(row["properties"]), row["create_time"])
        try:
            for destination in self._destinations:
                await destination.send(event)
        except AppError as error:
            _logger.warning(
                "event not sent on", event_id=str(event.id), reason=error.reason.value, message=error.message
            )
            if error.reason is Reason.UNAVAILABLE and row["forward_attempts"] < _MOST_ATTEMPTS:
                return ""
            return "FAILED"
        return "SENT"


def _invalid(field: str, description: str) -> AppError:
    return AppError(Reason.INVALID_REQUEST, violations=[Violation(field, description)])
