"""The pipeline on a real database and a real socket; only the service behind the socket is the test's own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lintel.webhooks.v1 import code_host_service_pb2 as pb
from lintel.webhooks.v1.code_host_service_pb2_grpc import (
    CodeHostServiceServicer,
    add_CodeHostServiceServicer_to_server,
)

from services.kit.artefacts.artefacts import Artefacts
from services.kit.artefacts.postgres import PostgresChunks
from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Database
from services.kit.rpc.channel import open_channel
from services.kit.rpc.policy import internal
from services.kit.rpc.server import Registered, RpcServer
from services.review.clients import CodeHosts
from services.review.domain import RunState
from services.review.pipeline import MAX_MOVES, Pipeline
from services.review.run_store import LeaseLostError
from services.review.runs import Runs
from services.review.sources import UploadSource
from tests.integration.review.steps import A, B, C, Owner, claim, observe, one, states
from tests.support.rpc import short_directory

SERVICE = pb.DESCRIPTOR.services_by_name["CodeHostService"]
POLICY = {f"/{SERVICE.full_name}/{method.name}": internal("review_worker") for method in SERVICE.methods}
PUBLISHED = pb.PublishResponse(outcome=pb.PUBLISH_OUTCOME_PUBLISHED, url="https://host.example/1")


@dataclass
class Host(CodeHostServiceServicer):
    """One pull request, as the test has it; each list is worked off from the front, then all goes well."""

    head: str = A
    base_ref: str = "main"
    is_open: bool = True
    is_draft: bool = False
    files: list[pb.ChangedFile] = field(default_factory=list)
    fails: dict[str, list[AppError]] = field(default_factory=dict)
    moves: list[str] = field(default_factory=list)  # heads that it moves to, each while it is read
    answers: list[pb.PublishResponse] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    published: list[pb.PublishRequest] = field(default_factory=list)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.fails.get(name):
            raise self.fails[name].pop(0)

    def _pull(self) -> pb.PullRequest:
        return pb.PullRequest(
            open=self.is_open, draft=self.is_draft, head_sha=self.head, base_ref=self.base_ref, base_sha=C
        )

    async def GetPullRequest(self, request: Any, context: Any) -> pb.PullRequest:
        self._called("get")
        return self._pull()

    async def ReadSource(self, request: Any, context: Any) -> AsyncIterator[pb.ReadSourceResponse]:
        self._called("read")
        if self.moves:
            self.head = self.moves.pop(0)
        yield pb.ReadSourceResponse(pull_request=self._pull())
        for file in self.files:
            yield pb.ReadSourceResponse(file=file)

    async def Publish(self, request: pb.PublishRequest, context: Any) -> pb.PublishResponse:
        self._called("publish")
        self.published.append(request)
        return self.answers.pop(0) if self.answers else PUBLISHED


@pytest.fixture
async def host() -> Host:
    return Host()


@pytest.fixture
async def pipeline(db: Database, runs: Runs, host: Host) -> AsyncIterator[Pipeline]:
    with short_directory() as directory:
        address = f"unix:{directory / 'webhooks.sock'}"
        registered = Registered(add_CodeHostServiceServicer_to_server, host, SERVICE)
        server = RpcServer("webhooks", address, [registered], POLICY, with_reflection=False)
        await server.start()
        async with open_channel(address, "review_worker") as channel:
            uploads = UploadSource(Artefacts(PostgresChunks(db, "review")))
            yield Pipeline(db, runs, CodeHosts(channel), uploads, luck=lambda: 0.5)
        await server.stop(0)


def pending(seconds: float = 0) -> pb.PublishResponse:
    answer = pb.PublishResponse(outcome=pb.PUBLISH_OUTCOME_PENDING, reason="a limit")
    answer.retry_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds))
    return answer


async def carry(runs: Runs, pipeline: Pipeline, owner: Owner) -> None:
    """Claim what waits, however long it is asked to wait, and carry it as far as it goes."""
    await owner.execute("UPDATE review.runs SET available_at = clock_timestamp() WHERE state = 'QUEUED'")
    await pipeline.carry(await claim(runs))


@pytest.mark.parametrize("call", ["get", "read", "publish"])
@pytest.mark.parametrize(
    ("reason", "state", "errors", "waits"),
    [
        (Reason.HOST_REFUSED, "FAILED", 0, 0),
        (Reason.HOST_NOT_CONFIGURED, "FAILED", 0, 0),
        (Reason.NOT_FOUND, "FAILED", 0, 0),
        (Reason.PERMISSION_DENIED, "FAILED", 0, 0),
        (Reason.HOST_RATE_LIMITED, "QUEUED", 0, 1),
        (Reason.HOST_UNAVAILABLE, "QUEUED", 0, 1),
        (Reason.UNAVAILABLE, "QUEUED", 0, 1),
        (Reason.OVERLOADED, "QUEUED", 0, 1),
        (Reason.INTERNAL, "QUEUED", 1, 0),
        (Reason.DEADLINE_EXCEEDED, "QUEUED", 1, 0),
        (Reason.FENCED, "QUEUED", 1, 0),
    ],
)
async def test_what_fails_elsewhere_ends_the_run_has_it_wait_or_is_counted(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner,
    call: str, reason: Reason, state: str, errors: int, waits: int,
) -> None:  # fmt: skip
    host.fails[call] = [AppError(reason, "why it is so")]
    await observe(runs, A)
    await carry(runs, pipeline, owner)
    row = await one(owner, "SELECT state, errors, waits, state_reason FROM review.runs")
    assert tuple(row) == (state, errors, waits, "why it is so")


async def test_an_outage_of_the_host_spends_no_attempt_and_is_asked_about_less_and_less(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner
) -> None:
    host.fails["get"] = [AppError(Reason.HOST_UNAVAILABLE, "502") for _ in range(12)]
    await observe(runs, A)
    pauses = []
    for _ in range(12):
        await carry(runs, pipeline, owner)
        row = await one(owner, "SELECT extract(epoch FROM available_at - clock_timestamp()) AS left FROM review.runs")
        pauses.append(round(row["left"]))
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    await carry(runs, pipeline, owner)
    assert await states(owner) == [(A, "PUBLISHED")]


async def test_a_limit_waits_as_long_as_the_host_says(runs: Runs, pipeline: Pipeline, host: Host, owner: Owner) -> None:
    wait = timedelta(minutes=40)
    host.fails["get"] = [AppError(Reason.HOST_RATE_LIMITED, "a limit", retry_after=wait)]
    await observe(runs, A)
    await carry(runs, pipeline, owner)
    row = await one(owner, "SELECT available_at - clock_timestamp() AS left FROM review.runs")
    assert abs(row["left"] - wait) < timedelta(seconds=20)


async def test_a_run_that_somebody_else_has_is_left_alone(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner
) -> None:
    await observe(runs, A)
    run = await claim(runs)
    host.fails["publish"] = [AppError(Reason.FENCED, "a newer claim")]
    with pytest.raises(LeaseLostError):
        await pipeline.carry(replace(run, epoch=run.epoch - 1))
    assert host.published == []
    assert await states(owner) == [(A, "RUNNING")]


@pytest.mark.parametrize(
    ("is_open", "is_draft", "state"), [(False, False, "SUPERSEDED"), (True, True, "COMPLETED")], ids=["closed", "draft"]
)
async def test_what_is_closed_or_a_draft_is_not_read(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner, is_open: bool, is_draft: bool, state: str
) -> None:
    host.is_open, host.is_draft = is_open, is_draft
    await observe(runs, A)
    await carry(runs, pipeline, owner)
    assert await states(owner) == [(A, state)]
    assert host.calls == ["get"]


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_head_that_moves_while_it_is_read_is_followed(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner, is_told: bool
) -> None:
    if is_told:
        moved = AppError(Reason.UNAVAILABLE, "it changed", moved="true")
        host.fails["read"] = [moved]
    else:
        host.moves = [B]
    await observe(runs, A)
    await carry(runs, pipeline, owner)
    head = A if is_told else B
    assert await states(owner) == [(head, "PUBLISHED")]
    assert [p.head_sha for p in host.published] == [head]
    assert host.calls.count("read") == 2


async def test_a_head_that_never_stands_still_has_the_run_wait(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner
) -> None:
    host.moves = [f"{number:040}" for number in range(50)]
    await observe(runs, A)
    await carry(runs, pipeline, owner)
    assert host.calls.count("read") == MAX_MOVES
    row = await one(owner, "SELECT state, waits, errors FROM review.runs")
    assert tuple(row) == ("QUEUED", 1, 0)


async def test_a_retry_reads_and_analyses_nothing_twice(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner
) -> None:
    host.files = [added(b"tool.py", "import subprocess\nsubprocess.run('ls ' + name, shell=True)\n")]
    host.answers = [pending(), pending()]
    await observe(runs, A)
    await carry(runs, pipeline, owner)
    ids = await owner.fetch("SELECT id FROM review.findings ORDER BY position")
    await carry(runs, pipeline, owner)
    await carry(runs, pipeline, owner)
    assert await states(owner) == [(A, "PUBLISHED")]
    assert host.calls.count("read") == 1
    assert ids == await owner.fetch("SELECT id FROM review.findings ORDER BY position") != []
    first, *others = ([p.summary, *(f.body for f in p.findings)] for p in host.published)
    assert others == [first, first]


async def test_a_push_while_publishing_waits_gets_a_review_of_its_own(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner
) -> None:
    """What a run publishes is frozen by its first call: under the same run the newer head would never be published."""
    host.answers = [pending()]
    await observe(runs, A)
    await carry(runs, pipeline, owner)
    host.head = B
    await observe(runs, B)
    await carry(runs, pipeline, owner)
    assert await states(owner) == [(A, "SUPERSEDED"), (B, "PUBLISHED")]
    first, second = host.published
    assert (first.head_sha, second.head_sha) == (A, B)
    assert first.run_id != second.run_id


async def test_a_run_that_must_finish_is_published_although_the_head_moved(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner
) -> None:
    host.answers = [pending()]
    await observe(runs, A)
    run = await claim(runs)
    await pipeline.carry(run)
    await owner.execute("UPDATE review.pull_requests SET superseded_count = 3")
    await owner.execute("UPDATE review.runs SET available_at = clock_timestamp()")
    run = await claim(runs)
    host.head = B
    await observe(runs, B)  # too late to have it stop
    assert await runs.heartbeat(run) is None
    await pipeline.carry(run)
    assert await states(owner) == [(A, "PUBLISHED"), (B, "QUEUED")]
    assert [(p.head_sha, p.head_may_have_moved) for p in host.published] == [(A, False), (A, True)]
    await carry(runs, pipeline, owner)
    assert (await states(owner))[1] == (B, "PUBLISHED")


async def test_a_run_that_is_told_to_finish_while_it_is_read_finishes(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner
) -> None:
    await observe(runs, A)
    run = await claim(runs)
    await owner.execute("UPDATE review.runs SET must_finish = true")  # after the claim: the worker's copy says no
    assert not run.must_finish
    await pipeline.carry(run)
    assert [p.head_may_have_moved for p in host.published] == [True]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(pb.PUBLISH_OUTCOME_SUPERSEDED, RunState.SUPERSEDED), (pb.PUBLISH_OUTCOME_REJECTED, RunState.FAILED)],
)
async def test_what_publishing_says_is_what_becomes_of_the_run(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner, outcome: Any, state: RunState
) -> None:
    host.answers = [pb.PublishResponse(outcome=outcome, reason="why")]
    await observe(runs, A)
    await carry(runs, pipeline, owner)
    row = await one(owner, "SELECT state, state_reason FROM review.runs")
    assert tuple(row) == (state, "why")


async def test_hostile_names_and_contents_are_stored_and_published(
    runs: Runs, pipeline: Pipeline, host: Host, owner: Owner
) -> None:
    evil = "password = 'hunter2hunter2\0x'\nsubprocess.run(a + '\0', shell=True)\n"
    host.files = [
        added(b"evil\xff\x01.py", "import subprocess\n" + evil),
        pb.ChangedFile(path=b"nul\0.py", status="added", patch=b"@@ -0,0 +1 @@\n+x\n", reason="a \0 reason"),
    ]
    await observe(runs, A)
    await carry(runs, pipeline, owner)
    assert await states(owner) == [(A, "PUBLISHED")]


def added(path: bytes, content: str) -> pb.ChangedFile:
    lines = content.splitlines(keepends=True)
    patch = f"@@ -0,0 +1,{len(lines)} @@\n" + "".join("+" + line for line in lines)
    return pb.ChangedFile(path=path, status="added", patch=patch.encode(), head=content.encode(), new_mode="100644")
