"""Use cases around API keys: create, list, delete, find out whose one is."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from services.auth.clients import Directory
from services.auth.domain import LOCAL_KEY_NAME, ApiKey, Member, Owner, RandomBytes, digest, make_key, shown
from services.auth.store import ApiKeyStore, Position
from services.kit import paging
from services.kit.errors import AppError, Reason, Violation
from services.kit.ids import new_id
from services.kit.postgres.audit import Actor

SCOPES = ("all", "read")
BY_ITSELF = Actor("system", "auth")  # nobody asked for it by a call


def utc_now() -> datetime:
    """Answer the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """Some keys, and where the next ones begin; an empty token on the last page."""

    keys: Sequence[ApiKey]
    next_token: str


class ApiKeys:
    """API keys of callers. Time and randomness are given, so that tests can choose them.

    Without a directory only keys of the installation can be resolved.
    """

    def __init__(
        self,
        store: ApiKeyStore,
        now: Callable[[], datetime] = utc_now,
        random: RandomBytes = os.urandom,
        directory: Directory | None = None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._now = now
        self._random = random

    async def create(
        self,
        owner: Owner,
        role: str,
        name: str,
        scopes: Sequence[str],
        expire_time: datetime | None,
        actor: Actor = BY_ITSELF,
    ) -> tuple[ApiKey, str]:
        """Store a key with the role of its maker and answer it with the key itself, which nobody can read again.

        Raises AppError(INVALID_REQUEST) on an unknown scope, a blank name, or an end that has passed.
        """
        made, key = self._make(owner, role, name.strip(), tuple(dict.fromkeys(scopes)) or ("all",), expire_time)
        violations = []
        if not made.name or not made.name.isprintable():
            violations.append(Violation("name", "must have a visible character, and no control characters"))
        if unknown := [scope for scope in made.scopes if scope not in SCOPES]:
            violations.append(Violation("scopes", f"{unknown[0]!r:.40} is none of {', '.join(SCOPES)}"))
        if expire_time is not None and expire_time <= made.create_time:
            violations.append(Violation("expire_time", "must be in the future"))
        if violations:
            raise AppError(Reason.INVALID_REQUEST, violations=violations)
        await self._store.insert(made, digest(key), actor)
        return made, key

    async def list(self, owner: Owner, page_size: int, page_token: str) -> Page:
        """Answer a page of an owner's keys, newest first. Raises AppError(PAGE_TOKEN_INVALID)."""
        query = f"auth.api_keys/{owner.organization_id}/{owner.user_id}"
        after, limit = _position(page_token, query), paging.size(page_size)
        keys = await self._store.page(owner, after, limit + 1)
        if len(keys) <= limit:
            return Page(keys, "")
        last = keys[limit - 1]
        return Page(
            keys[:limit], paging.encode({"time": last.create_time.isoformat(), "id": str(last.id)}, query=query)
        )

    async def delete(self, owner: Owner, key_id: UUID, actor: Actor = BY_ITSELF) -> None:
        """End one of the owner's keys. Raises AppError(NOT_FOUND) if it is not theirs."""
        if not await self._store.delete(owner, key_id, self._now(), actor):
            raise AppError(Reason.NOT_FOUND)

    async def resolve(self, key: str) -> tuple[ApiKey, Member]:
        """Answer whose key this is, with their role of this moment.

        Raises AppError(UNAUTHENTICATED) if it is nobody's, ended or expired, or its user may not act (any more).
        """
        found = await self._store.find_living(digest(key), self._now())
        if found is None:
            raise AppError(Reason.UNAUTHENTICATED)
        owner = found.owner
        if owner.user_id is None:
            return found, Member(owner.organization_id, found.role, is_active=True)
        member = await self._directory.member(owner.user_id) if self._directory else None
        if member is None or not member.is_active or member.organization_id != owner.organization_id:
            raise AppError(Reason.UNAUTHENTICATED)
        return found, member

    async def end_all(self, owner: Owner) -> int:
        """End every key of a user and answer how many there were."""
        return await self._store.delete_all(owner, self._now())

    async def ensure_local(self, organization_id: UUID, *, rotate: bool = False) -> str | None:
        """Answer the installation's own key if it was made just now, None if there is one already.

        With `rotate` the one there is ends, and another is made.
        """
        made, key = self._make(Owner(organization_id, None), "owner", LOCAL_KEY_NAME, ("all",), None)
        stored = await self._store.replace_named(made, digest(key), keep_existing=not rotate)
        return key if stored else None

    def _make(
        self, owner: Owner, role: str, name: str, scopes: tuple[str, ...], expire_time: datetime | None
    ) -> tuple[ApiKey, str]:
        key = make_key(self._random)
        return ApiKey(new_id(), owner, name, shown(key), role, scopes, self._now(), expire_time), key


def _position(token: str, query: str) -> Position | None:
    if not token:
        return None
    cursor = paging.decode(token, query)
    return Position(datetime.fromisoformat(cursor["time"]), UUID(cursor["id"]))
