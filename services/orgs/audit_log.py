"""Use cases around the audit log: read it, take it elsewhere, find out whether it is whole."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.kit import paging
from services.kit.postgres import audit
from services.kit.postgres.pool import Database
from services.orgs import audit_store as store
from services.orgs.audit_store import Filter, Stored

_BATCH = 500  # entries read at a time


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a chain is whole; `broken_sequence` is the first entry that does not fit, 0 where all do."""

    entries: int
    last_sha256: bytes
    broken_sequence: int = 0
    problem: str = ""


class AuditLog:
    """The log of one organisation at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, organization_id: UUID, wanted: Filter, page_size: int, page_token: str
    ) -> tuple[Sequence[Stored], str]:
        """Answer a page of entries, newest first, and the token of the next. Raises AppError(PAGE_TOKEN_INVALID)."""
        size, query = paging.size(page_size), f"orgs.audit_log/{organization_id}/{wanted}"
        before = int(paging.decode(page_token, query)["before"]) if page_token else None
        async with self._database.tenant(organization_id) as connection:
            found = await store.page(connection, organization_id, wanted, before, size + 1)
        if len(found) <= size:
            return found, ""
        return found[:size], paging.encode({"before": str(found[size - 1].entry.sequence)}, query)

    async def export(self, organization_id: UUID, after: int) -> AsyncIterator[Stored]:
        """Yield every entry numbered above `after`, oldest first."""
        while True:
            async with self._database.tenant(organization_id) as connection:
                batch = await store.following(connection, organization_id, after, _BATCH)
            for stored in batch:
                yield stored
                after = stored.entry.sequence
            if len(batch) < _BATCH:
                return

    async def verify(self, organization_id: UUID) -> Verdict:
        """Follow the chain from the first entry to the last."""
        count, last = 0, audit.FIRST
        async for stored in self.export(organization_id, 0):
            problem = _problem(stored, count + 1, last)
            if problem:
                return Verdict(count, last, stored.entry.sequence, problem)
            count, last = count + 1, stored.sha256
        return Verdict(count, last)


def _problem(stored: Stored, expected: int, last: bytes) -> str:
    if stored.entry.sequence != expected:
        return f"entry {expected} is missing"
    if stored.entry.previous_sha256 != last:
        return "it does not follow the entry before it"
    if stored.entry.sha256 != stored.sha256:
        return "it was changed after it was written"
    return ""
