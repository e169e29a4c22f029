"""One run from the claim to the end: ask the host, read, analyse, keep, publish."""

import hashlib
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from services.kit import retries
from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database
from services.kit.telemetry import trace
from services.review import store, text
from services.review.analysis import analyse
from services.review.analyzers.table import NAMES
from services.review.clients import CodeHosts, HeadMovedError, PublishOutcome
from services.review.domain import Finding, PutBack, Run, RunState
from services.review.model_port import ModelPass
from services.review.receipts import finding_from_row, receipt
from services.review.run_store import hold
from services.review.runs import Runs
from services.review.sources import CodeHostSource, Source

REPORT = "report"
MAX_MOVES = 5  # how often in a row a head may move while it is read; then the run waits
_REFUSED = {
    Reason.HOST_REFUSED,
    Reason.HOST_NOT_CONFIGURED,
    Reason.NOT_FOUND,
    Reason.PERMISSION_DENIED,
    Reason.SOURCE_INVALID,
}
_AWAY = {Reason.UNAVAILABLE, Reason.HOST_UNAVAILABLE, Reason.HOST_RATE_LIMITED, Reason.OVERLOADED}


class Pipeline:
    """Carries a claimed run to its end, or puts it back."""

    def __init__(
        self,
        database: Database,
        runs: Runs,
        hosts: CodeHosts,
        uploads: Source,
        model: ModelPass | None = None,
        *,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._runs = runs
        self._hosts = hosts
        self._host_source: Source = CodeHostSource(hosts)
        self._uploads = uploads
        self._model = model
        self._luck = luck

    async def carry(self, run: Run) -> None:
        """Do what is left of the run; errors of others are sorted into: give up, wait, try again.

        Raises LeaseLostError when somebody else has the run, AppError when it cannot be moved as the database is away.
        """
        try:
            await self._carry(run)
        except AppError as error:
            reason = error.message or error.reason.value
            if error.reason is Reason.SOURCE_INVALID:
                reason = f"{error.reason.value}: {reason}"  # its sender tells it from other failures by this
            if error.reason in _REFUSED:
                await self._runs.finish(run, RunState.FAILED, reason)
            elif error.reason in _AWAY:
                # An outage is nobody's fault and may last longer than a few attempts: it spends none.
                asked = error.retry_after if error.reason is Reason.HOST_RATE_LIMITED else None
                delay = retries.RUN_WAIT.pause(run.waits, self._luck(), asked)
                await self._runs.put_back(run, PutBack.WAIT, reason, max(delay, error.retry_after or delay))
            else:
                delay = retries.RUN_ERROR.pause(run.errors, self._luck(), error.retry_after)
                await self._runs.put_back(run, PutBack.ERROR, reason, delay)

    async def _carry(self, run: Run) -> None:
        if run.is_local:
            await self._report(run, self._uploads)
            await self._runs.finish(run, RunState.COMPLETED)
        else:
            await self._carry_to_host(run)

    async def _carry_to_host(self, run: Run) -> None:
        for _ in range(MAX_MOVES):
            following = await self._follow(run)
            if following is None:
                return
            try:
                summary, findings = await self._report(following, self._host_source)
            except HeadMovedError:
                continue
            # The run may have been told to finish while it was read.
            await self._publish(await self._runs.refresh(run), summary, findings)
            return
        raise AppError(Reason.UNAVAILABLE, "the head keeps moving while it is read", retry_after=timedelta(seconds=1))

    async def _follow(self, run: Run) -> Run | None:
        """Answer the run for what the host says is the head; None if it has come to its end."""
        with trace.span("ask host"):
            now = await self._hosts.get_pull_request(run)
        if not now.is_open:
            await self._runs.finish(run, RunState.SUPERSEDED, "the pull request is closed")
        elif now.is_draft:
            await self._runs.finish(run, RunState.COMPLETED, "a draft is reviewed when it is marked ready")
        else:
            return await self._runs.follow_head(run, now.head_sha, now.base_ref)
        return None

    async def _report(self, run: Run, origin: Source) -> tuple[str, list[Finding]]:
        """Read and analyse, unless an earlier attempt of this run has done so. Raises HeadMovedError."""
        step_input = hashlib.sha256("\0".join((run.head_sha, run.base_ref, *NAMES)).encode()).hexdigest()
        async with self._database.tenant(run.organization_id) as connection:
            done = await store.has_checkpoint(connection, run.id, REPORT, step_input)
        if not done:
            with trace.span("read source"):
                source = await origin.read(run)
            with trace.span("analyse", files=len(source.files)):
                report = await analyse(run, source, self._model)
            async with self._database.tenant(run.organization_id) as connection:
                await hold(connection, run)
                await store.save_report(connection, run, report, receipt(report))
                await store.add_checkpoint(connection, run, REPORT, step_input)
        async with self._database.tenant(run.organization_id) as connection:
            row = await store.get_review(connection, run.id)
            rows = await store.list_findings(connection, run.id, -1, store.ALL)
        assert row is not None, "the run is ours"
        return row["summary"], [finding_from_row(r) for r in rows]

    async def _publish(self, run: Run, summary: str, findings: list[Finding]) -> None:
        with trace.span("publish", findings=len(findings)):
            answer = await self._hosts.publish(run, summary, [(f, text.comment(f)) for f in findings])
        match answer.outcome:
            case PublishOutcome.PUBLISHED:
                reason = f"{answer.demoted} told in the summary only" if answer.demoted else ""
                await self._runs.finish(run, RunState.PUBLISHED, reason, answer.url)
            case PublishOutcome.PENDING:
                asked = max(answer.retry_time - datetime.now(UTC), timedelta(seconds=1))
                delay = retries.RUN_WAIT.pause(run.waits, self._luck(), asked)
                await self._runs.put_back(run, PutBack.WAIT, answer.reason, delay)
            case PublishOutcome.SUPERSEDED:
                await self._runs.finish(run, RunState.SUPERSEDED, answer.reason)
            case PublishOutcome.REJECTED:
                await self._runs.finish(run, RunState.FAILED, answer.reason)
