"""Begins local reviews from uploads, and forgets the uploads of those that have ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.kit.artefacts.artefacts import Artefacts
from services.kit.artefacts.port import Holder
from services.kit.errors import AppError, Reason
from services.kit.ids import resource_id
from services.kit.postgres.pool import Database, Row
from services.kit.rpc.context import Principal
from services.kit.telemetry import trace
from services.review import store as review_store
from services.review.local import store
from services.review.local.options import Options, creator_of
from services.review.local.pieces import Piece
from services.review.local.staging import Staging

MAX_UPLOADS = 8  # at a time in one process: half a gigabyte of disk
ORPHANED = timedelta(hours=1)  # artefacts of this age without a run are those of an upload that broke off
_PAGE = 200


class LocalReviews:
    """The use case behind both ways to upload."""

    def __init__(self, database: Database, artefacts: Artefacts) -> None:
        self._database = database
        self._artefacts = artefacts
        self._places = asyncio.Semaphore(MAX_UPLOADS)

    async def create(self, who: Principal, options: Options, pieces: AsyncIterable[Piece]) -> Row:
        """Begin a review of what `pieces` hold and answer it; nothing is left of an upload that breaks off.

        Raises AppError: INVALID_REQUEST, BODY_TOO_LARGE, or OVERLOADED while too many are on.
        """
        if self._places.locked():
            raise AppError(Reason.OVERLOADED, "Too many uploads at a time.", retry_after=timedelta(seconds=5))
        run_id = resource_id()
        async with self._places:
            with Staging() as staging:
                async for piece in pieces:
                    await staging.add(piece)
                try:
                    await staging.keep(self._artefacts, who.organization_id, run_id)
                except BaseException as error:
                    # A store that does not answer is not waited for a second time: the caller's deadline would pass,
                    # and hide the reason.
                    if not (isinstance(error, AppError) and error.reason is Reason.UNAVAILABLE):
                        with contextlib.suppress(AppError):  # the sweep does it later
                            await self._artefacts.delete(who.organization_id, run_id)
                    raise
        # From here on the review belongs to the organisation, even if the caller does not wait for the answer.
        return await asyncio.shield(self._begin(who, options, run_id))

    async def _begin(self, who: Principal, options: Options, run_id: UUID) -> Row:
        async with self._database.tenant(who.organization_id) as connection:
            await store.begin(connection, who.organization_id, run_id, creator_of(who), options, trace.traceparent())
            row = await review_store.get_review(connection, run_id)
        assert row is not None, "it was inserted in this transaction"
        return row


class Sweep:
    """Forgets the uploads of reviews that have come to their end, and of uploads that never became one."""

    def __init__(self, database: Database, artefacts: Artefacts) -> None:
        self._database = database
        self._artefacts = artefacts

    async def run(self) -> bool:
        """Look at everything that is kept once; False, as there is nothing more to do then."""
        after: UUID | None = None
        while page := await self._artefacts.holders(after, _PAGE):
            after = page[-1].run_id
            for holder in await self._ended(page):
                await self._artefacts.delete(holder.organization_id, holder.run_id)
        return False

    async def _ended(self, page: list[Holder]) -> list[Holder]:
        async with self._database.queue() as connection:
            states = await store.states(connection, [holder.run_id for holder in page])
        old = datetime.now(UTC) - ORPHANED
        return [
            holder
            for holder in page
            if (state.is_final if (state := states.get(holder.run_id)) else holder.create_time < old)
        ]
