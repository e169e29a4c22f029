"""Use cases around usage and budgets."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.kit.errors import AppError, Reason, Violation
from services.kit.postgres.audit import Actor
from services.llm_gateway.accounting import Budget, Report, Scope, Standing
from services.llm_gateway.store import CallStore

DEFAULT_DAYS = 30
MOST_DAYS = 400


class UsageReports:
    """What the models of an organisation took, and what they may take."""

    def __init__(self, store: CallStore, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._now = now

    async def report(self, organization_id: UUID, begin: str, end: str, group_by: str) -> Report:
        """Add up a time given as texts, RFC 3339 or days. Raises AppError(INVALID_REQUEST)."""
        until = _moment("to", end, whole_day=True) or self._now()
        since = _moment("from", begin) or until - timedelta(days=DEFAULT_DAYS)
        if since >= until:
            raise _invalid("from", "must be before `to`")
        if until - since > timedelta(days=MOST_DAYS):
            raise _invalid("from", f"must be at most {MOST_DAYS} days before `to`")
        return await self._store.usage(organization_id, group_by or "day", since, until)

    async def budgets(self, organization_id: UUID) -> list[Standing]:
        """Answer the budgets and where they stand."""
        return await self._store.standings(organization_id)

    async def replace_budgets(self, organization_id: UUID, budgets: Sequence[Budget], actor: Actor) -> list[Standing]:
        """Make these the budgets. Raises AppError(INVALID_REQUEST)."""
        seen = set[tuple[str, str, str]]()
        for index, budget in enumerate(budgets):
            if budget.scope is Scope.ORGANIZATION and budget.subject:
                raise _invalid(f"budgets[{index}].id", "must be empty for the organisation")
            key = budget.scope.value, budget.subject, budget.period.value
            if key in seen:
                raise _invalid(f"budgets[{index}]", "repeats the scope, the id and the period of another one")
            seen.add(key)
        await self._store.replace_budgets(organization_id, budgets, actor)
        return await self._store.standings(organization_id)


def _moment(field: str, text: str, *, whole_day: bool = False) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        found = found.astimezone(UTC)
        if whole_day and len(text) == len("2026-01-31"):
            found += timedelta(days=1)
    except (ValueError, OverflowError):
        raise _invalid(field, "must be a time such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31") from None
    return found


def _invalid(field: str, description: str) -> AppError:
    return AppError(Reason.INVALID_REQUEST, violations=[Violation(field, description)])
