"""One run from the claim to the end: ask the host, read, analyse, keep, publish."""

import hashlib
from datetime import UTC, datetime, timedelta

from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database
from services.kit.telemetry import trace
from services.review import store, text
from services.review.analysis import analyse
from services.review.analyzers.table import NAMES
from services.review.clients import CodeHosts, PublishOutcome
from services.review.domain import Finding, Run, RunState
from services.review.model_port import ModelPass
from services.review.receipts import finding_from_row, receipt
from services.review.run_store import hold
from services.review.runs import Runs
from services.review.sources import CodeHostSource, Source

REPORT = "report"
_REFUSED = {
    Reason.HOST_REFUSED,
    Reason.HOST_NOT_CONFIGURED,
    Reason.NOT_FOUND,
    Reason.PERMISSION_DENIED,
    Reason.SOURCE_INVALID,
}


class Pipeline:
    """Carries a claimed run to its end, or puts it back; raises LeaseLostError when somebody else has it."""

    def __init__(
        self, database: Database, runs: Runs, hosts: CodeHosts, uploads: Source, model: ModelPass | None = None
    ) -> None:
        self._database = database
        self._runs = runs
        self._hosts = hosts
        self._host_source: Source = CodeHostSource(hosts)
        self._uploads = uploads
        self._model = model

    async def carry(self, run: Run) -> None:
        """Do what is left of the run. Errors of others are sorted into: wait, try again, give up."""
        try:
            await self._carry(run)
        except AppError as error:
            reason = error.message or error.reason.value
            if error.reason is Reason.SOURCE_INVALID:
                reason = f"{error.reason.value}: {reason}"  # its sender tells it from other failures by this
            if error.reason in _REFUSED:
                await self._runs.finish(run, RunState.FAILED, reason)
            elif error.reason is Reason.FENCED:
                return
            elif error.reason is Reason.HOST_RATE_LIMITED:
                await self._runs.put_back(run, "waits", reason, error.retry_after or timedelta(minutes=1))
            else:
                delay = error.retry_after or timedelta(seconds=min(2**run.errors, 60))
                await self._runs.put_back(run, "errors", reason, delay)

    async def _carry(self, run: Run) -> None:
        if run.is_local:
            await self._report(run, self._uploads)
            await self._runs.finish(run, RunState.COMPLETED)
        else:
            await self._carry_to_host(run)

    async def _carry_to_host(self, run: Run) -> None:
        with trace.span("ask host"):
            now = await self._hosts.get_pull_request(run)
        if not now.is_open:
            await self._runs.finish(run, RunState.SUPERSEDED, "the pull request is closed")
            return
        if now.is_draft:
            await self._runs.finish(run, RunState.COMPLETED, "a draft is reviewed when it is marked ready")
            return
        if (now.head_sha, now.base_ref) != (run.head_sha, run.base_ref) and not run.must_finish:
            if not await self._runs.adopt_head(run, now.head_sha, now.base_ref):
                await self._runs.finish(run, RunState.SUPERSEDED, "this head has its review")
                return
            run = run.at(now.head_sha, now.base_ref)
        summary, findings = await self._report(run, self._host_source)
        await self._publish(run, summary, findings)

    async def _report(self, run: Run, origin: Source) -> tuple[str, list[Finding]]:
        """Read and analyse, unless an earlier attempt of this run has done so for this head."""
        step_input = hashlib.sha256("\0".join((run.head_sha, run.base_ref, *NAMES)).encode()).hexdigest()
        async with self._database.tenant(run.organization_id) as connection:
            done = await store.get_checkpoint(connection, run.id, REPORT, step_input) is not None
        if not done:
            with trace.span("read source"):
                source = await origin.read(run)
            if source.pull_request.head_sha != run.head_sha:
                raise AppError(Reason.UNAVAILABLE, "the head moved while it was read", retry_after=timedelta(seconds=1))
            with trace.span("analyse", files=len(source.files)):
                report = await analyse(run, source, self._model)
            async with self._database.tenant(run.organization_id) as connection:
                await hold(connection, run)
                await store.save_report(connection, run, report, receipt(report))
                await store.add_checkpoint(connection, run, REPORT, step_input, b"")
        async with self._database.tenant(run.organization_id) as connection:
            row = await store.get_review(connection, run.id)
            rows = await store.list_findings(connection, run.id, -1, 10_000)
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
                delay = max(answer.retry_time - datetime.now(UTC), timedelta(seconds=1))
                await self._runs.put_back(run, "waits", answer.reason, delay)
            case PublishOutcome.SUPERSEDED:
                await self._runs.finish(run, RunState.SUPERSEDED, answer.reason)
            case PublishOutcome.REJECTED:
                await self._runs.finish(run, RunState.FAILED, answer.reason)
