"""Dead letters: what nobody could handle, here and in review's inbox, in one list, and handled again from there."""

from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID

from services.kit import paging
from services.kit.errors import AppError, Reason
from services.kit.postgres.audit import Actor, record
from services.kit.postgres.pool import Database, Row
from services.kit.telemetry import metrics
from services.webhooks import store
from services.webhooks.domain import DeadLetter, DeadLetterKind, DeliveryState


class EventInbox(Protocol):
    """The dead letters of the service that takes in our events. Methods raise AppError."""

    async def list_dead(
        self, organization_id: UUID, *, with_unowned: bool, before: UUID | None, limit: int
    ) -> list[DeadLetter]:
        """Answer them, newest first, those older than `before`."""

    async def replay_dead(self, organization_id: UUID, letter_id: UUID, *, with_unowned: bool) -> DeadLetter:
        """Have one handled again. Raises NOT_FOUND or WRONG_STATE."""


class DeadLetters:
    """The use cases; what can't be read at all belongs to nobody, and is shown to the default organisation."""

    def __init__(
        self, database: Database, events: EventInbox, default_organization: Callable[[], Awaitable[UUID]]
    ) -> None:
        self._database = database
        self._events = events
        self._default_organization = default_organization

    async def page(self, organization_id: UUID, page_size: int, page_token: str) -> tuple[list[DeadLetter], str]:
        """Answer a page of dead letters, newest first, and where the next one begins."""
        size = paging.size(page_size)
        query = f"dead letters\0{organization_id}"
        before = UUID(paging.decode(page_token, query)["before"]) if page_token else None
        async with self._database.tenant(organization_id) as connection:
            failed = await store.list_dead(connection, before, size + 1)
        unowned = await self._sees_unowned(organization_id)
        events = await self._events.list_dead(organization_id, with_unowned=unowned, before=before, limit=size + 1)
        letters = sorted([*map(_of_delivery, failed), *events], key=lambda letter: letter.id, reverse=True)
        more = paging.encode({"before": str(letters[size - 1].id)}, query) if len(letters) > size else ""
        return letters[:size], more

    async def replay(self, organization_id: UUID, letter_id: UUID, actor: Actor) -> DeadLetter:
        """Have one handled again, and answer it as it was. Raises AppError NOT_FOUND or WRONG_STATE."""
        async with self._database.tenant(organization_id) as connection:
            row = await store.lock_delivery(connection, letter_id)
            if row is not None:
                if row["state"] != DeliveryState.FAILED:
                    raise AppError(Reason.WRONG_STATE, "This is no longer dead.", dead_letter=str(letter_id))
                await store.rearm_delivery(connection, letter_id)
        if row is not None:
            letter = _of_delivery(row)
        else:
            unowned = await self._sees_unowned(organization_id)
            letter = await self._events.replay_dead(organization_id, letter_id, with_unowned=unowned)
        async with self._database.tenant(organization_id) as connection:
            await record(connection, organization_id, actor, "dead_letter.replay", ("dead_letter", str(letter_id)))
        metrics.REPLAYS.labels(letter.kind.value.lower()).inc()
        return letter

    async def _sees_unowned(self, organization_id: UUID) -> bool:
        return organization_id == await self._default_organization()


def _of_delivery(row: Row) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        kind=DeadLetterKind.DELIVERY,
        topic=row["event"],
        reason=row["reason"],
        attempts=row["attempts"],
        size=row["body_size"],
        create_time=row["create_time"],
        host=row["host"],
        repository=row["repository"],
    )
