"""Use cases around parameters: settings of an organisation, without secrets, which others keep."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from services.kit import paging
from services.kit.errors import AppError, Reason, Violation
from services.kit.ids import new_id
from services.kit.postgres import audit
from services.kit.postgres.pool import Connection, Database
from services.orgs import parameter_store as store
from services.orgs.domain import Parameter

CODE_REVIEW = "code-review"
RETENTION = "retention"
MAX_BYTES = 65_536  # of a value as JSON
ANALYTICS_DAYS = 400  # events are kept that long where nothing is configured: a year can be compared with the last
_MAX_DAYS = 3650

Value = Mapping[str, object]


class ModelConfigurations(Protocol):
    """What llm_gateway keeps of an organisation's models. Raises AppError; INVALID_REQUEST names fields by path."""

    async def store(self, organization_id: UUID, value: Value, previous: Value | None) -> dict[str, object]:
        """Check a value, keep its keys, and answer it with masks in place of keys; `previous` is the last answer."""


class Parameters:
    """Parameters of one organisation at a time."""

    def __init__(self, database: Database, models: ModelConfigurations) -> None:
        self._database = database
        self._models = models

    async def find(self, organization_id: UUID, key: str) -> Parameter | None:
        """Answer a parameter as it is stored; None if it is not set."""
        async with self._database.tenant(organization_id) as connection:
            return await store.find(connection, organization_id, key)

    async def get(self, organization_id: UUID, key: str) -> Parameter:
        """Answer a parameter. Raises AppError(NOT_FOUND) while it is not set."""
        found = await self.find(organization_id, key) if key in KEYS else None
        if found is None:
            raise AppError(Reason.NOT_FOUND, f"This parameter is not set. There are: {', '.join(KEYS)}.")
        return found

    async def page(self, organization_id: UUID, page_size: int, page_token: str) -> tuple[Sequence[Parameter], str]:
        """Answer a page of what is set, by key, and the token of the next. Raises AppError(PAGE_TOKEN_INVALID)."""
        size, query = paging.size(page_size), f"orgs.parameters/{organization_id}"
        after = paging.decode(page_token, query)["key"] if page_token else ""
        async with self._database.tenant(organization_id) as connection:
            found = await store.page(connection, organization_id, after, size + 1)
        return found[:size], paging.encode({"key": found[size - 1].key}, query) if len(found) > size else ""

    async def set(self, organization_id: UUID, key: str, value: Value, etag: str) -> Parameter:
        """Put a value in place of what is stored and answer it. Raises AppError: INVALID_REQUEST, ETAG_MISMATCH."""
        _check(key, value)
        async with self._database.tenant(organization_id) as connection:
            before = await _current(connection, organization_id, key, etag)
            kept = dict(value)
            if key == CODE_REVIEW:
                kept = await self._models.store(organization_id, kept, before.value if before else None)
            if before and before.value == kept:
                return before
            after = await store.put(connection, organization_id, key, kept, new_id().hex)
            await _record(connection, after, before.value if before else None, kept)
        return after

    async def delete(self, organization_id: UUID, key: str, etag: str) -> None:
        """Forget a parameter and the secrets that belong to it. Raises AppError: NOT_FOUND, ETAG_MISMATCH."""
        async with self._database.tenant(organization_id) as connection:
            before = await _current(connection, organization_id, key, etag)
            if before is None:
                raise AppError(Reason.NOT_FOUND)
            if key == CODE_REVIEW:
                await self._models.store(organization_id, {}, before.value)
            await store.delete(connection, organization_id, key)
            await _record(connection, before, before.value, None)


async def analytics_days(connection: Connection, organization_id: UUID) -> int:
    """Answer how many days the events of an organisation are kept."""
    found = await store.find(connection, organization_id, RETENTION)
    days = found.value.get("analyticsDays") if found else None
    return days if isinstance(days, int) else ANALYTICS_DAYS


async def _current(connection: Connection, organization_id: UUID, key: str, etag: str) -> Parameter | None:
    await store.lock(connection, organization_id, key)
    found = await store.find(connection, organization_id, key)
    if etag and etag != (found.etag if found else ""):
        raise AppError(Reason.ETAG_MISMATCH, "Read the parameter again, and repeat the change on what is there now.")
    return found


async def _record(connection: Connection, parameter: Parameter, before: Value | None, after: Value | None) -> None:
    action = "parameter.create" if before is None else "parameter.delete" if after is None else "parameter.update"
    await audit.record(
        *(connection, parameter.organization_id, audit.caller(), action, ("parameter", parameter.key)),
        audit.difference(before, after),
    )


def _check(key: str, value: Value) -> None:
    if key not in KEYS:
        raise _invalid("key", f"is not a known parameter; there are {', '.join(KEYS)}")
    if len(json.dumps(value).encode()) > MAX_BYTES:
        raise _invalid("config_value", f"is longer than {MAX_BYTES} bytes of JSON")
    KEYS[key](value)


def _check_code_review(value: Value) -> None:
    # What stands inside the two is llm_gateway's to judge.
    _check_names(value, ("llmProvider", "byokConfig"))


def _check_retention(value: Value) -> None:
    _check_names(value, ("analyticsDays",))
    days = value.get("analyticsDays")
    if days is not None and (isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= _MAX_DAYS):
        raise _invalid("config_value.analyticsDays", f"must be a whole number of days from 1 to {_MAX_DAYS}")


def _check_names(value: Value, known: Sequence[str]) -> None:
    unknown = [
        Violation(f"config_value.{name[:100]}", f"is not a known field; there are {', '.join(known)}")
        for name in value
        if name not in known
    ]
    if unknown:
        raise AppError(Reason.INVALID_REQUEST, violations=unknown[:20])


def _invalid(field: str, description: str) -> AppError:
    return AppError(Reason.INVALID_REQUEST, violations=[Violation(field, description)])


KEYS: Mapping[str, Callable[[Value], None]] = {CODE_REVIEW: _check_code_review, RETENTION: _check_retention}
