"""The ledger's values: publications, their effects on the host, and the lease under which they are made."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.webhooks.hosts.base import PullRequestRef


class EffectKind(StrEnum):
    """What is done on the host."""

    SUMMARY_REVIEW = "SUMMARY_REVIEW"
    FINDINGS_REVIEW = "FINDINGS_REVIEW"
    SUMMARY_EDIT = "SUMMARY_EDIT"


class EffectState(StrEnum):
    """How far an effect is; IN_DOUBT means that the host may have it."""

    PLANNED = "PLANNED"
    IN_DOUBT = "IN_DOUBT"
    POSTED = "POSTED"
    REJECTED = "REJECTED"


class PublicationState(StrEnum):
    """How a publication stands; all but OPEN are final."""

    OPEN = "OPEN"
    PUBLISHED = "PUBLISHED"
    SUPERSEDED = "SUPERSEDED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class Effect:
    """One row of the ledger; `findings` and `refused` are indexes into the frozen findings."""

    kind: EffectKind
    state: EffectState
    findings: tuple[int, ...]
    refused: tuple[int, ...]
    pin_commit: bool
    host_id: str


@dataclass(frozen=True, slots=True)
class Publication:
    """What a run posts and how that stands."""

    run_id: UUID
    head_sha: str
    base_ref: str
    items: bytes
    state: PublicationState
    visible: bool
    reason: str
    url: str
    failures: int
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act on one pull request for one run, until it expires or another takes it."""

    organization_id: UUID
    ref: PullRequestRef
    run_id: UUID
    epoch: int
    token: UUID

    @property
    def pull_request(self) -> tuple[UUID, str, str, int]:
        """The key of the fence row."""
        return self.organization_id, self.ref.host, self.ref.repository_id, self.ref.number


@dataclass(frozen=True, slots=True)
class Begun:
    """The answer of `begin`: the publication, and the lease or until when another has it."""

    publication: Publication
    lease: Lease | None = None
    busy_until: datetime | None = None
    summary_review_id: str = ""


class LeaseLostError(Exception):
    """Another call of the same claim works on this pull request now."""
