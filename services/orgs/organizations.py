"""Use cases around organisations."""

from uuid import UUID

from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from services.orgs.domain import DEFAULT_NAME, Organization
from services.orgs.store import OrganizationStore


class Organizations:
    """Organisations, each seen by its own callers only."""

    def __init__(self, store: OrganizationStore) -> None:
        self._store = store

    async def get(self, organization_id: UUID) -> Organization:
        """Answer an organisation. Raises AppError(NOT_FOUND)."""
        found = await self._store.find(organization_id)
        if found is None:
            raise AppError(Reason.NOT_FOUND)
        return found

    async def ensure_default(self) -> Organization:
        """Answer the default organisation, made if there is none; its id never changes after that."""
        found = await self._store.find_default()
        if found is None:
            await self._store.insert_default(new_id(), DEFAULT_NAME)
            # Read again: another process may have been faster, and its organisation is the one.
            found = await self._store.find_default()
        if found is None:
            raise AppError(Reason.INTERNAL, "the default organisation was not stored")
        return found
