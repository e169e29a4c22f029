"""Envelopes that could not be taken in: shown to operators, and handled again on their word."""

from uuid import UUID

from services.kit.errors import AppError, Reason
from services.kit.postgres.inbox import NOBODY
from services.kit.postgres.pool import Database, Row
from services.review import store


class DeadEnvelopes:
    """The use cases behind InboxService; with `with_unowned` also of what nobody knows the organisation of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, organization_id: UUID, *, with_unowned: bool, before: UUID | None, limit: int) -> list[Row]:
        """Answer dead envelopes without their content, newest first."""
        async with self._database.queue() as connection:
            return await store.list_dead(connection, _owners(organization_id, with_unowned), before, limit)

    async def replay(self, organization_id: UUID, envelope_id: UUID, *, with_unowned: bool) -> Row:
        """Have one handled again. Raises AppError NOT_FOUND, or WRONG_STATE where it is not dead."""
        async with self._database.queue() as connection:
            row = await store.lock_envelope(connection, _owners(organization_id, with_unowned), envelope_id)
            if row is None:
                raise AppError(Reason.NOT_FOUND, "There is no such dead letter.", dead_letter=str(envelope_id))
            if row["state"] != "DEAD":
                raise AppError(Reason.WRONG_STATE, "This is no longer dead.", dead_letter=str(envelope_id))
            await store.revive_envelope(connection, envelope_id)
        return row


def _owners(organization_id: UUID, with_unowned: bool) -> list[UUID]:
    return [organization_id, NOBODY] if with_unowned else [organization_id]
