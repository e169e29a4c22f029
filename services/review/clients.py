"""What the review service asks of others: the code host, through the service that holds its credential."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import grpc
from lintel.events.v1 import pull_request_pb2
from lintel.webhooks.v1 import code_host_service_pb2 as pb
from lintel.webhooks.v1.code_host_service_pb2_grpc import CodeHostServiceStub

from services.kit.diff.model import Side
from services.kit.errors import AppError
from services.kit.rpc.channel import stream
from services.kit.rpc.status import rpc_errors
from services.review.domain import ChangeSource, Finding, PullRequest, PullRequestRef, Run, SourceFile

_READ_SECONDS = 30.0
_SOURCE_SECONDS = 300.0
_PUBLISH_SECONDS = 120.0


class PublishOutcome(StrEnum):
    """How publishing stands."""

    PUBLISHED = "PUBLISHED"
    PENDING = "PENDING"
    SUPERSEDED = "SUPERSEDED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class Published:
    """The answer to Publish; `retry_time` goes with PENDING."""

    outcome: PublishOutcome
    reason: str
    retry_time: datetime
    url: str
    demoted: int


class HeadMovedError(Exception):
    """The pull request is not at the run's head and base: it moved, perhaps while it was read."""


class CodeHosts:
    """The code hosts behind the mesh. Every method raises AppError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = CodeHostServiceStub(channel)

    async def get_pull_request(self, run: Run) -> PullRequest:
        """Answer the pull request as it is now."""
        request = pb.GetPullRequestRequest(organization_id=str(run.organization_id), ref=_ref(run.ref))
        with rpc_errors():
            return _pull_request(await self._stub.GetPullRequest(request, timeout=_READ_SECONDS))

    async def read_source(self, run: Run) -> ChangeSource:
        """Read the whole change. Raises HeadMovedError unless it is that of the run's head and base."""
        request = pb.ReadSourceRequest(organization_id=str(run.organization_id), ref=_ref(run.ref))
        pull_request, files, omissions = None, [], []
        with _moves(), rpc_errors():
            async with stream(self._stub.ReadSource(request, timeout=_SOURCE_SECONDS)) as pieces:
                async for piece in pieces:
                    kind = piece.WhichOneof("piece")
                    if kind == "pull_request":
                        pull_request = _pull_request(piece.pull_request)
                        if (pull_request.head_sha, pull_request.base_ref) != (run.head_sha, run.base_ref):
                            raise HeadMovedError
                    elif kind == "file":
                        files.append(_file(piece.file))
                    else:
                        omissions.append(piece.omission)
        assert pull_request is not None, "the stream begins with the pull request"
        return ChangeSource(pull_request, tuple(files), tuple(omissions))

    async def publish(self, run: Run, summary: str, findings: Sequence[tuple[Finding, str]]) -> Published:
        """Bring the review to the host, once; `findings` come with the text to post."""
        request = pb.PublishRequest(
            organization_id=str(run.organization_id),
            ref=_ref(run.ref),
            run_id=str(run.id),
            epoch=run.epoch,
            head_sha=run.head_sha,
            base_ref=run.base_ref,
            summary=summary,
            findings=[_finding(finding, body) for finding, body in findings],
            head_may_have_moved=run.must_finish,
        )
        with rpc_errors():
            answer = await self._stub.Publish(request, timeout=_PUBLISH_SECONDS)
        name = pb.PublishOutcome.Name(answer.outcome).removeprefix("PUBLISH_OUTCOME_")
        retry_time = answer.retry_time.ToDatetime(tzinfo=UTC)
        return Published(PublishOutcome(name), answer.reason, retry_time, answer.url, answer.demoted)


@contextmanager
def _moves() -> Iterator[None]:
    """Tell a pull request that moved while it was read from a host that does not answer."""
    try:
        yield
    except AppError as error:
        if "moved" in error.metadata:
            raise HeadMovedError from None
        raise


def _ref(ref: PullRequestRef) -> pull_request_pb2.PullRequestRef:
    return pull_request_pb2.PullRequestRef(
        host=ref.host,
        connection_id=ref.connection_id,
        repository_id=ref.repository_id,
        repository=ref.repository,
        number=ref.number,
    )


def _pull_request(found: pb.PullRequest) -> PullRequest:
    return PullRequest(found.open, found.draft, found.head_sha, found.base_ref, found.base_sha, found.url)


def _file(found: pb.ChangedFile) -> SourceFile:
    def given(name: str) -> bool:
        return found.HasField(name)  # type: ignore[arg-type]  # the names are those of the message

    return SourceFile(
        path=found.path,
        status=found.status,
        previous_path=found.previous_path if given("previous_path") else None,
        patch=found.patch if given("patch") else None,
        head=found.head if given("head") else None,
        base=found.base if given("base") else None,
        old_mode=found.old_mode if given("old_mode") else None,
        new_mode=found.new_mode if given("new_mode") else None,
        reason=found.reason if given("reason") else None,
    )


def _finding(finding: Finding, body: str) -> pb.PublishFinding:
    return pb.PublishFinding(
        fingerprint=finding.fingerprint,
        path=finding.path,
        left=finding.side is Side.LEFT,
        start_line=finding.start_line,
        end_line=finding.end_line,
        body=body,
    )
