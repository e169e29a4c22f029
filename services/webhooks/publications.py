"""Publish: brings a code host to where a run's items say, once, however often it is called and wherever it stops.

Freeze, reconcile what is in doubt, fence, effect, record (design.md section 5, point 5); nothing waits for a limit.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.kit.errors import AppError, Reason
from services.kit.telemetry import log, metrics
from services.webhooks.draft_maker import BlockedError, SupersededError
from services.webhooks.hosts.base import (
    ForbiddenError,
    HostError,
    InDoubtError,
    InvalidError,
    NotFoundError,
    PullRequestRef,
    RateLimitedError,
    ReviewHost,
    UnauthorizedError,
)
from services.webhooks.ledger import Begun, EffectKind, Lease, LeaseLostError, Publication, PublicationState
from services.webhooks.ledger_store import LedgerStore
from services.webhooks.publication_texts import Finding, Items
from services.webhooks.publishing import Publishing

FIRST_DELAY = timedelta(seconds=2)
LONGEST_DELAY = timedelta(minutes=5)
_SOON = timedelta(seconds=5)

_logger = log.get("publications")

Steps = Callable[[str], Awaitable[None]]


class Outcome(StrEnum):
    """How publishing stands."""

    PUBLISHED = "PUBLISHED"
    PENDING = "PENDING"
    SUPERSEDED = "SUPERSEDED"
    REJECTED = "REJECTED"


metrics.from_zero(metrics.PUBLICATIONS, Outcome)


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """What a run asks for; the first call freezes summary, findings, head and base."""

    organization_id: UUID
    ref: PullRequestRef
    run_id: UUID
    epoch: int
    head_sha: str
    base_ref: str
    summary: str
    findings: tuple[Finding, ...] = ()
    head_may_have_moved: bool = False


@dataclass(frozen=True, slots=True)
class PublishResult:
    """How it stands; `retry_time` only with PENDING, `demoted` counts findings told in the summary instead."""

    outcome: Outcome
    reason: str = ""
    url: str = ""
    demoted: int = 0
    retry_time: datetime | None = None


async def _no_step(name: str) -> None:
    """Nobody listens."""


class Publications:
    """The use case. `steps` is told the name of each step before it is made; tests stop the world there."""

    def __init__(
        self,
        store: LedgerStore,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        steps: Steps = _no_step,
    ) -> None:
        self._store = store
        self._now = now
        self._steps = steps

    async def publish(self, host: ReviewHost, request: PublishRequest) -> PublishResult:
        """Answer how it stands after doing what can be done now.

        Raises AppError: FENCED for an epoch below the highest seen, WRONG_STATE for a run of another pull request,
        UNAVAILABLE when the database does not answer.
        """
        begun = await self._store.begin(
            request.organization_id,
            request.ref,
            request.run_id,
            request.epoch,
            head_sha=request.head_sha,
            base_ref=request.base_ref,
            items=Items(request.summary, request.findings).freeze(),
        )
        if begun.lease is None:
            result = self._result(begun.publication, begun.busy_until, "another call works on this pull request")
        else:
            result = await self._work(host, request, begun, begun.lease)
        metrics.PUBLICATIONS.labels(result.outcome).inc()
        return result

    async def _work(self, host: ReviewHost, request: PublishRequest, begun: Begun, lease: Lease) -> PublishResult:
        publishing = Publishing(
            store=self._store,
            host=host,
            lease=lease,
            begun=begun,
            head_may_have_moved=request.head_may_have_moved,
            steps=self._steps,
        )
        try:
            return await self._settle(publishing, begun, lease)
        except LeaseLostError:
            until = self._now() + _SOON
            return self._result(begun.publication, until, "another call works on this pull request")
        except BaseException:
            await self._release(lease)
            raise

    async def _settle(self, publishing: Publishing, begun: Begun, lease: Lease) -> PublishResult:
        """Run the work and turn how it ended into a state of the ledger."""
        try:
            await publishing.run()
        except SupersededError as error:
            await publishing.drop_drafts()
            return self._result(await self._finish(lease, PublicationState.SUPERSEDED, str(error)))
        except RateLimitedError as error:
            publication = await self._store.postpone(lease, str(error), failed=False)
            return self._result(publication, error.until, str(error))
        except (UnauthorizedError, ForbiddenError, NotFoundError, InvalidError) as error:
            _logger.warning("host refused", run_id=str(lease.run_id), error=type(error).__name__, told=str(error))
            await publishing.drop_drafts()
            return self._result(await self._finish(lease, PublicationState.REJECTED, _for_people(error)))
        except (HostError, BlockedError) as error:
            publication = await self._store.postpone(lease, str(error), failed=True)
            doubt = " (it may have taken effect)" if isinstance(error, InDoubtError) else ""
            delay = min(FIRST_DELAY * 2 ** min(begun.publication.failures, 10), LONGEST_DELAY)
            return self._result(publication, self._now() + delay, f"{error}{doubt}")
        return self._result(await self._finish(lease, PublicationState.PUBLISHED, ""))

    async def _finish(self, lease: Lease, state: PublicationState, reason: str) -> Publication:
        await self._steps("finish")
        return await self._store.finish(lease, state, reason)

    async def _release(self, lease: Lease) -> None:
        """A lease that can't be given back expires by itself."""
        try:
            await self._steps("release")
            await self._store.release(lease)
        except AppError as error:
            if error.reason is not Reason.UNAVAILABLE:
                raise
            _logger.warning("lease not released", run_id=str(lease.run_id))

    @staticmethod
    def _result(publication: Publication, retry_time: datetime | None = None, reason: str = "") -> PublishResult:
        pending = publication.state is PublicationState.OPEN
        demoted = sum(len(e.refused) for e in publication.effects if e.kind is not EffectKind.SUMMARY_EDIT)
        return PublishResult(
            outcome=Outcome.PENDING if pending else Outcome(publication.state),
            reason=reason if pending else publication.reason,
            url=publication.url,
            demoted=demoted,
            retry_time=retry_time if pending else None,
        )


def _for_people(error: HostError) -> str:
    """Say what to do about a refusal that waiting does not cure."""
    if isinstance(error, UnauthorizedError):
        return "The code host does not accept the configured token. Renew it, then run the review again."
    if isinstance(error, ForbiddenError):
        return (
            f"The code host forbids it: {error}. Grant the token read access to contents and write access to pull "
            "requests (GitLab: scope api, role Developer), and see that the repository is not archived and the "
            "conversation not locked."
        )
    if isinstance(error, NotFoundError):
        return (
            "The code host shows the configured token no such pull request, or does not let it write there. Grant it "
            "this repository, with read access to contents and write access to pull requests."
        )
    return f"The code host does not take the review: {error}."
