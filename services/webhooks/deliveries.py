"""What becomes of stored deliveries: turned into events by a worker, shown to people, handled again."""

import asyncio
import json
from collections.abc import Callable
from uuid import UUID

from services.kit import paging, retries
from services.kit.bus.port import Envelope
from services.kit.errors import AppError, Reason
from services.kit.postgres import outbox
from services.kit.postgres.audit import Actor, record
from services.kit.postgres.pool import Connection, Database, Row
from services.kit.telemetry import log, metrics, trace
from services.webhooks import repository_store as repositories
from services.webhooks import store
from services.webhooks.domain import DeliveryState
from services.webhooks.hosts import ADAPTERS
from services.webhooks.hosts.base import Action, Ignored, Parsed, ParseError, PullRequestChanged

_logger = log.get("deliveries")
metrics.from_zero(
    metrics.DELIVERIES, ADAPTERS, [state.lower() for state in DeliveryState if state is not DeliveryState.RECEIVED]
)


class DeliveryWorker:
    """Claims RECEIVED deliveries; the event and the new state are one transaction."""

    def __init__(self, database: Database, seal: Callable[[UUID, PullRequestChanged], Envelope]) -> None:
        self._database = database
        self._seal = seal

    async def handle_next(self) -> bool:
        """Handle one delivery; True if there was one."""
        async with self._database.queue() as connection:
            row = await store.claim_delivery(connection)
        if row is None:
            return False
        with trace.span("delivery handle", parent=row["traceparent"], host=row["host"], delivery_id=str(row["id"])):
            if row["was_claimed"]:
                metrics.RETRIES.labels("delivery", "crash").inc()
            if retries.DELIVERY_CRASH.is_spent(row["attempts"] - 1):
                await self._settle(row, DeliveryState.FAILED, "its worker stopped each time it was tried")
                return True
            try:
                parsed = await asyncio.to_thread(_parse, row)  # seconds, for a body made for it
                await self._settle_parsed(row, parsed)
            except AppError:
                raise  # the database is away: the row comes back by itself
            except Exception as error:
                _logger.exception("delivery failed", delivery_id=str(row["id"]))
                await self._settle(row, DeliveryState.FAILED, f"internal error ({type(error).__name__})")
        return True

    async def _settle_parsed(self, row: Row, parsed: Parsed) -> None:
        match parsed:
            case ParseError(reason):
                await self._settle(row, DeliveryState.FAILED, reason)
            case Ignored(reason):
                await self._settle(row, DeliveryState.IGNORED, reason)
            case PullRequestChanged(draft=True, action=action) if action is not Action.CLOSED:
                await self._settle(row, DeliveryState.IGNORED, "a draft is reviewed when it is marked ready", parsed)
            case PullRequestChanged():
                await self._settle(row, DeliveryState.PROCESSED, parsed.action.value, parsed)

    async def _settle(
        self, row: Row, state: DeliveryState, reason: str, event: PullRequestChanged | None = None
    ) -> None:
        name = event.ref.repository if event is not None else ""
        async with self._database.tenant(row["organization_id"]) as connection:
            settled = await store.settle_delivery(connection, row["id"], row["attempts"], state, reason, name)
            if settled and event is not None:
                await repositories.note_delivery(connection, row["organization_id"], event.ref, row["create_time"])
                if state is DeliveryState.PROCESSED:
                    await announce(connection, row["organization_id"], event)
                    await outbox.append(connection, "webhooks", self._seal(row["organization_id"], event))
        metrics.DELIVERIES.labels(row["host"], state.value.lower()).inc()
        _logger.info("delivery handled", delivery_id=str(row["id"]), state=state.value, reason=reason)


async def announce(connection: Connection, organization_id: UUID, event: PullRequestChanged) -> None:
    """Note what an event tells of a pull request, so that the sweep does not tell it again."""
    if event.action is Action.CLOSED:
        place = repositories.place(organization_id, event.ref)
        await repositories.forget_heads(connection, place, [event.ref.number])
    else:
        await repositories.announce(connection, organization_id, event.ref, event.head_sha, event.base_ref)


def _parse(row: Row) -> Parsed:
    adapter = ADAPTERS[row["host"]]
    headers = json.loads(row["headers"])
    return adapter.webhooks.parse(headers, row["body"], connection_id=row["connection_id"])


class Deliveries:
    """The use cases behind DeliveryService; a delivery of another organisation is not found."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organization_id: UUID, delivery_id: UUID) -> Row:
        """Answer one delivery. Raises AppError NOT_FOUND."""
        async with self._database.tenant(organization_id) as connection:
            row = await store.get_delivery(connection, delivery_id)
        if row is None:
            raise AppError(Reason.NOT_FOUND, "There is no such delivery.", delivery=str(delivery_id))
        return row

    async def page(
        self,
        organization_id: UUID,
        page_size: int,
        page_token: str,
        state: DeliveryState | None,
        host: str = "",
        repository: str = "",
    ) -> tuple[list[Row], str]:
        """Answer a page of deliveries, newest first, and where the next one begins."""
        size = paging.size(page_size)
        query = f"deliveries\0{organization_id}\0{state or ''}\0{host}\0{repository}"
        before = UUID(paging.decode(page_token, query)["before"]) if page_token else None
        async with self._database.tenant(organization_id) as connection:
            given = state.value if state else ""
            rows = await store.list_deliveries(connection, before, given, host, repository, size + 1)
        more = paging.encode({"before": str(rows[size - 1]["id"])}, query) if len(rows) > size else ""
        return rows[:size], more

    async def redeliver(self, organization_id: UUID, delivery_id: UUID, actor: Actor) -> Row:
        """Have a delivery handled again from its stored body. Raises AppError NOT_FOUND."""
        await self.get(organization_id, delivery_id)
        async with self._database.tenant(organization_id) as connection:
            await store.rearm_delivery(connection, delivery_id)
            await record(connection, organization_id, actor, "delivery.redeliver", ("delivery", str(delivery_id)))
        return await self.get(organization_id, delivery_id)
