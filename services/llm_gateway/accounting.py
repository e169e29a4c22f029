"""The words of money and use: who a call is for, what it took, what may be spent. Money in millionths of a dollar."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.llm_gateway.providers.usage import Usage


class Scope(StrEnum):
    """What a budget is for."""

    ORGANIZATION = "organization"
    REPOSITORY = "repository"
    PULL_REQUEST = "pullRequest"
    USER = "user"


class Period(StrEnum):
    """How long a budget lasts, in UTC."""

    DAY = "day"
    MONTH = "month"

    def start(self, now: datetime) -> datetime:
        """Answer when the period that holds `now` began."""
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return day if self is Period.DAY else day.replace(day=1)

    def end(self, now: datetime) -> datetime:
        """Answer when the period that holds `now` ends, and there is room again."""
        start = self.start(now)
        return start + timedelta(days=1) if self is Period.DAY else (start + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a call is for, and on whose account."""

    organization_id: UUID
    purpose: str = "review"
    repository: str = ""
    pull_request_number: int = 0
    person: str = ""

    @property
    def pull_request(self) -> str:
        """The pull request as budgets and usage name it, empty for none."""
        return f"{self.repository}#{self.pull_request_number}" if self.pull_request_number else ""

    def subject(self, scope: Scope) -> str:
        """Answer which one of a scope the call belongs to, empty for none."""
        return {
            Scope.ORGANIZATION: "",
            Scope.REPOSITORY: self.repository,
            Scope.PULL_REQUEST: self.pull_request,
            Scope.USER: self.person,
        }[scope]


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit; an empty `subject` is a limit for each one of its scope."""

    scope: Scope
    subject: str
    period: Period
    limit_micros: int

    def concerns(self, purpose: Purpose) -> bool:
        """Whether a call takes of it."""
        subject = purpose.subject(self.scope)
        return self.scope is Scope.ORGANIZATION or (bool(subject) and self.subject in ("", subject))


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget and where it stands."""

    budget: Budget
    spent_micros: int
    reserved_micros: int
    renew_time: datetime


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is written down before a provider is asked."""

    id: UUID
    request_id: str
    purpose: Purpose
    charged_micros: int
    in_doubt_micros: int
    seconds: float  # after which whoever asked is taken for dead
    cache_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is written down afterwards. `cost_micros` is None where the price is not known."""

    id: UUID
    organization_id: UUID
    is_done: bool
    outcome: str  # ok, or the fault
    provider: str
    model: str
    usage: Usage
    cost_micros: int | None
    charged_micros: int
    latency_ms: int
    attempts: int
    fallback_reason: str = ""
    answer: str | None = field(default=None, repr=False)  # encrypted


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer that was paid for before."""

    id: UUID
    answer: str = field(repr=False)  # encrypted
    provider: str
    model: str
    usage: Usage
    cost_micros: int | None
    attempts: int
    fallback_reason: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """The call is ours to make."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody is making the same call."""


@dataclass(frozen=True, slots=True)
class Spent:
    """A budget has no room for the call."""

    standing: Standing


ClaimResult = Claimed | Busy | Spent | Stored


@dataclass(frozen=True, slots=True)
class Used:
    """What a group of calls took."""

    key: str
    calls: int = 0
    failed_calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_micros: int = 0
    unpriced_calls: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """Use over a time: its groups, and all of it."""

    groups: tuple[Used, ...]
    total: Used
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Credential:
    """A key of an organisation, encrypted; it is sent to `origin` alone."""

    id: UUID
    organization_id: UUID
    provider: str
    origin: str
    ciphertext: str = field(repr=False)
    mask: str
