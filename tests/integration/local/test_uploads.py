"""Uploads in the database: who may see them, what survives a dead worker, and what is forgotten when."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import grpc
import pytest
from lintel.review.v1 import code_review_service_pb2, local_review_service_pb2
from lintel.review.v1.code_review_service_pb2_grpc import CodeReviewServiceStub
from lintel.review.v1.local_review_service_pb2_grpc import LocalReviewServiceStub

from services.auth import app as auth_app
from services.kit.artefacts.artefacts import Artefacts
from services.kit.artefacts.port import Key
from services.kit.artefacts.postgres import PostgresChunks
from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from services.kit.postgres.pool import Database as Pool
from services.kit.rpc.channel import open_channel
from services.kit.rpc.status import from_rpc_error
from services.orgs import app as orgs_app
from services.review import app as review_app
from services.review.clients import CodeHosts
from services.review.local.pieces import DIFF, Part, Piece
from services.review.local.reviews import Sweep
from services.review.local.staging import Staging
from services.review.pipeline import Pipeline
from services.review.runs import Runs
from services.review.sources import UploadSource
from services.review.worker import Worker
from tests.integration.local.conftest import EVIL, diff_of
from tests.support.mesh import Caller, RunningMesh, running_mesh
from tests.support.postgres import Database

APPS = {"auth": auth_app.serve, "orgs": orgs_app.serve, "review": review_app.serve}


@dataclass(frozen=True)
class World:
    """The roles that answer, and what a worker is made of; no worker runs by itself."""

    mesh: RunningMesh
    pool: Pool
    artefacts: Artefacts
    runs: Runs
    pipeline: Pipeline

    async def upload(self, who: Caller | None = None) -> Any:
        """Begin a local review as somebody."""
        request = local_review_service_pb2.CreateLocalReviewRequest(diff=diff_of("tool.py", EVIL).decode())
        stub = LocalReviewServiceStub(self.mesh.public("review"))
        answer = await stub.CreateLocalReview(request, metadata=(who or self.mesh.local).metadata, timeout=10)
        return answer.review

    async def owner(self, statement: str, *values: Any) -> list[Mapping[str, Any]]:
        """Ask or change the database as its owner."""
        connection = await asyncpg.connect(self.mesh.database.owner_dsn)
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with running_mesh(database, APPS) as mesh:
        pool = Pool(database.app_dsn, "review", max_size=4)
        await pool.open()
        nowhere = open_channel(mesh.mesh.internal("webhooks"), "review_worker")  # a local review needs no code host
        artefacts, runs = Artefacts(PostgresChunks(pool, "review")), Runs(pool)
        pipeline = Pipeline(pool, runs, CodeHosts(nowhere), UploadSource(artefacts))
        yield World(mesh, pool, artefacts, runs, pipeline)
        await nowhere.close()
        await pool.close()


async def ids(world: World, who: Caller) -> list[str]:
    stub = CodeReviewServiceStub(world.mesh.public("review"))
    listed = await stub.ListReviews(code_review_service_pb2.ListReviewsRequest(), metadata=who.metadata, timeout=10)
    return [review.id for review in listed.reviews]


async def refused(world: World, who: Caller, review_id: str) -> list[Reason]:
    """What each way to read a review is refused with."""
    stub = CodeReviewServiceStub(world.mesh.public("review"))
    at: Any = {"metadata": who.metadata, "timeout": 10}
    found = []
    calls: tuple[Any, ...] = (
        stub.GetReview(code_review_service_pb2.GetReviewRequest(id=review_id), **at),
        stub.ListFindings(code_review_service_pb2.ListFindingsRequest(id=review_id), **at),
        stub.GetReceipt(code_review_service_pb2.GetReceiptRequest(id=review_id), **at),
        stub.WatchReview(code_review_service_pb2.WatchReviewRequest(id=review_id), **at),
    )
    for call in calls:
        try:
            await (call.read() if isinstance(call, grpc.aio.UnaryStreamCall) else call)
        except grpc.aio.AioRpcError as error:
            found.append(from_rpc_error(error).reason)
        call.cancel()
    return found


async def test_a_contributor_sees_their_own_local_reviews_only(world: World) -> None:
    mine, other = await world.mesh.caller("contributor"), await world.mesh.caller("contributor")
    admin, review = await world.mesh.caller("repo_admin"), (await world.upload(mine)).id
    assert [await ids(world, who) for who in (mine, admin, world.mesh.local)] == [[review]] * 3
    assert await ids(world, other) == []
    assert await refused(world, other, review) == [Reason.NOT_FOUND] * 4
    assert await refused(world, mine, review) == []
    assert await refused(world, admin, review) == []


async def test_another_organisation_sees_nothing(world: World) -> None:
    review = (await world.upload()).id
    stranger = await world.mesh.caller("owner", new_id())
    assert await ids(world, stranger) == []
    assert await refused(world, stranger, review) == [Reason.NOT_FOUND] * 4


async def expire_leases(world: World) -> None:
    await world.owner("UPDATE review.runs SET lease_expire_time = now() - interval '1 s' WHERE state = 'RUNNING'")


async def state(world: World, review_id: str) -> tuple[str, str]:
    (row,) = await world.owner("SELECT state, state_reason FROM review.runs WHERE id = $1::text::uuid", review_id)
    return row["state"], row["state_reason"]


async def test_a_dead_worker_s_review_is_done_again_from_what_was_uploaded(world: World) -> None:
    review = await world.upload()
    first = await world.runs.claim("a worker that dies")
    assert first is not None
    read = await UploadSource(world.artefacts).read(first)
    await expire_leases(world)
    assert await world.runs.rescue()
    await world.owner("UPDATE review.runs SET available_at = now()")
    await Sweep(world.pool, world.artefacts).run()
    second = await world.runs.claim("another")
    assert second is not None
    (row,) = await world.owner("SELECT crashes FROM review.runs")
    assert (second.id, row["crashes"], second.epoch) == (first.id, 1, first.epoch + 1)
    assert await UploadSource(world.artefacts).read(second) == read
    await world.pipeline.carry(second)
    assert await state(world, review.id) == ("COMPLETED", "")
    (count,) = await world.owner("SELECT count(*) AS n FROM review.findings")
    assert count["n"] > 0


async def test_a_lost_upload_fails_the_review_with_the_reason(world: World) -> None:
    review = await world.upload()
    await world.owner("DELETE FROM review.artefacts")
    run = await world.runs.claim("worker")
    assert run is not None
    await world.pipeline.carry(run)
    assert await state(world, review.id) == (
        "FAILED",
        "SOURCE_INVALID: the upload can't be read back: there is no artefact diff",
    )


async def test_a_damaged_upload_fails_the_review_with_the_reason(world: World) -> None:
    review = await world.upload()
    await world.owner("UPDATE review.artefact_chunks SET data = 'no zlib'::bytea")
    run = await world.runs.claim("worker")
    assert run is not None
    await world.pipeline.carry(run)
    assert (await state(world, review.id))[1].endswith("a chunk can't be unpacked")


async def test_a_review_that_waits_or_is_on_can_be_cancelled(world: World) -> None:
    waiting, stub = await world.upload(), CodeReviewServiceStub(world.mesh.public("review"))
    request = code_review_service_pb2.CancelReviewRequest(id=waiting.id)
    await stub.CancelReview(request, metadata=world.mesh.local.metadata, timeout=10)
    assert await state(world, waiting.id) == ("CANCELLED", "cancelled by a person")
    on = await world.upload()
    run = await world.runs.claim("worker")
    assert run is not None
    request = code_review_service_pb2.CancelReviewRequest(id=on.id)
    await stub.CancelReview(request, metadata=world.mesh.local.metadata, timeout=10)
    assert await world.runs.heartbeat(run) == "CANCELLED"


async def test_uploads_are_forgotten_when_their_reviews_have_ended_and_not_before(world: World) -> None:
    sweep = Sweep(world.pool, world.artefacts)
    ended, waiting = await world.upload(), await world.upload()
    worker = Worker(world.runs, world.pipeline.carry, 1)
    await world.owner(
        "UPDATE review.runs SET available_at = now() + interval '1 h' WHERE id = $1::text::uuid", waiting.id
    )
    assert await worker.claim_next()
    await worker.drain(30)
    assert await state(world, ended.id) == ("COMPLETED", "")
    young, old = (Key(world.mesh.local.organization_id, new_id(), DIFF) for _ in range(2))
    for key in (young, old):
        await world.artefacts.put(key, _bytes(b"x"), 10)
    await world.owner("UPDATE review.artefacts SET create_time = now() - interval '2 h' WHERE run_id = $1", old.run_id)
    assert await sweep.run() is False
    kept = {str(holder.run_id) for holder in await world.artefacts.holders(None, 100)}
    assert kept == {waiting.id, str(young.run_id)}


async def test_an_upload_of_many_pieces_is_counted_with_its_names(world: World) -> None:
    with Staging(limit=1000) as staging:
        await staging.add(Piece(Part.DIFF, b"d" * 100))
        for number in range(9):
            await staging.add(Piece(Part.FILE, b"", b"%090d" % number))
        with pytest.raises(AppError, match=r"at most 1,000 bytes") as refused:
            await staging.add(Piece(Part.FILE, b"", b"x" * 90))
        assert refused.value.reason is Reason.BODY_TOO_LARGE


async def _bytes(content: bytes) -> AsyncIterator[bytes]:
    yield content
