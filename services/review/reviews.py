"""Reading reviews: the use cases behind the public API."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from services.kit import paging
from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database, Row
from services.review import store
from services.review.domain import RunState
from services.review.viewer import Viewer

_WATCH_FIRST, _WATCH_LONGEST = 0.05, 0.5  # seconds between looks: a small change is reviewed in less than one


class Reviews:
    """Answers rows; a review of another organisation, or that the viewer may not see, is not found."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, who: Viewer, review_id: UUID) -> Row:
        """Answer one review. Raises AppError NOT_FOUND."""
        async with self._database.tenant(who.organization_id) as connection:
            row = await store.get_review(connection, review_id)
        if row is None or not who.sees(row):
            raise AppError(Reason.NOT_FOUND, "There is no such review.", review=str(review_id))
        return row

    async def page(
        self, who: Viewer, page_size: int, page_token: str, repository: str, number: int
    ) -> tuple[list[Row], str]:
        """Answer a page of reviews, newest first, and where the next one begins."""
        size = paging.size(page_size)
        limits = "" if who.repositories is None else ",".join(["limited", *sorted(who.repositories)])
        query = f"reviews\0{who.organization_id}\0{who.own}\0{repository}\0{number}\0{limits}"
        cursor = paging.decode(page_token, query) if page_token else None
        before = UUID(cursor["before"]) if cursor else None
        async with self._database.tenant(who.organization_id) as connection:
            rows = await store.list_reviews(connection, before, repository, number, who.own, who.repositories, size + 1)
        more = paging.encode({"before": str(rows[size - 1]["id"])}, query) if len(rows) > size else ""
        return rows[:size], more

    async def findings_page(
        self, who: Viewer, review_id: UUID, page_size: int, page_token: str
    ) -> tuple[list[Row], str]:
        """Answer a page of findings in the order of the diff. Raises AppError NOT_FOUND."""
        await self.get(who, review_id)
        size = paging.size(page_size)
        query = f"findings\0{who.organization_id}\0{review_id}"
        cursor = paging.decode(page_token, query) if page_token else None
        after = int(cursor["after"]) if cursor else -1
        async with self._database.tenant(who.organization_id) as connection:
            rows = await store.list_findings(connection, review_id, after, size + 1)
        more = paging.encode({"after": str(rows[size - 1]["position"])}, query) if len(rows) > size else ""
        return rows[:size], more

    async def all_findings(self, who: Viewer, review_id: UUID) -> list[Row]:
        """Answer every finding of a review."""
        async with self._database.tenant(who.organization_id) as connection:
            return await store.list_findings(connection, review_id, -1, store.ALL)

    async def watch(self, who: Viewer, review_id: UUID) -> AsyncIterator[Row]:
        """Yield the review now and at each change, until it has come to its end. Raises AppError NOT_FOUND."""
        seen: tuple[object, ...] | None = None
        pause = _WATCH_FIRST
        while True:
            row = await self.get(who, review_id)
            now = (row["state"], row["state_reason"], row["head_sha"], row["summary"])
            if now != seen:
                seen = now
                yield row
            if RunState(row["state"]).is_final:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _WATCH_LONGEST)
