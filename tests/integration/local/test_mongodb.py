"""What only MongoDB can do to artefacts: be away, hold half of a put, and be named wrongly."""

import gc
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import asyncpg
import pymongo
import pytest
from lintel.review.v1 import local_review_service_pb2
from lintel.review.v1.local_review_service_pb2_grpc import LocalReviewServiceStub
from structlog.testing import capture_logs

from cli.engines.mongodb import MongoDbEngine
from migrations import documents as declare
from services.auth import app as auth_app
from services.kit.artefacts.artefacts import Artefacts
from services.kit.artefacts.codec import CHUNK
from services.kit.artefacts.mongodb import ARTEFACTS, CHUNKS, MongoChunks
from services.kit.artefacts.settings import DocumentSettings
from services.kit.config import ConfigError, load
from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from services.kit.postgres.pool import Database as Pool
from services.kit.rpc.channel import open_channel
from services.kit.rpc.context import Principal
from services.orgs import app as orgs_app
from services.review import app as review_app
from services.review.clients import CodeHosts
from services.review.local.options import Options
from services.review.local.pieces import Part, Piece
from services.review.local.reviews import LocalReviews
from services.review.pipeline import Pipeline
from services.review.runs import Runs
from services.review.sources import UploadSource
from services.review.worker import Worker
from tests.integration.local.conftest import EVIL, diff_of
from tests.integration.local.test_artefacts import ROOM, key, pieces, whole
from tests.support.mesh import running_mesh
from tests.support.mongodb import Documents
from tests.support.postgres import Database
from tests.support.system import until

APPS = {"auth": auth_app.serve, "orgs": orgs_app.serve, "review": review_app.serve}


# The driver leaves sockets of connections that broke to the garbage collector, and Python tells of each.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def collect() -> Iterator[None]:
    """Collect them here, where the mark holds."""
    yield
    gc.collect()


@pytest.fixture
async def chunks(documents: Documents) -> AsyncIterator[MongoChunks]:
    await declare.run(documents.uri)
    made = MongoChunks(f"{documents.uri}&serverSelectionTimeoutMS=500")
    yield made
    await made.close()


def count(documents: Documents, collection: str) -> int:
    with pymongo.MongoClient[dict[str, object]](documents.uri) as client:
        return client[documents.name][collection].count_documents({})


async def test_indexes_are_declared_once_however_often(documents: Documents) -> None:
    assert [state for _, state in await declare.status(documents.uri)] == ["pending", "pending"]
    assert {index.collection for index in await declare.run(documents.uri)} == {ARTEFACTS, CHUNKS}
    assert await declare.run(documents.uri) == []
    assert [state for _, state in await declare.status(documents.uri)] == ["applied", "applied"]


async def test_nothing_is_left_of_what_was_replaced_or_broke_off(chunks: MongoChunks, documents: Documents) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield os.urandom(2 * CHUNK)
        raise RuntimeError("the caller has gone")

    artefacts, at = Artefacts(chunks), key()
    await artefacts.put(at, pieces(os.urandom(3 * CHUNK)), ROOM)
    await artefacts.put(at, pieces(b"short"), ROOM)
    with pytest.raises(RuntimeError):
        await artefacts.put(at, broken(), ROOM)
    assert count(documents, CHUNKS) == 1
    assert await whole(artefacts, at) == b"short"


async def test_a_put_that_its_process_did_not_survive_is_found_by_the_sweep(
    chunks: MongoChunks, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        """A dead process removes nothing."""

    async def broken() -> AsyncIterator[bytes]:
        yield os.urandom(2 * CHUNK)
        raise RuntimeError("power cut")

    monkeypatch.setattr(MongoChunks, "_forget", nothing)
    artefacts, at = Artefacts(chunks), key()
    with pytest.raises(RuntimeError):
        await artefacts.put(at, broken(), ROOM)
    assert (count(documents, CHUNKS), await artefacts.has(at)) == (2, False)
    (holder,) = await artefacts.holders(None, 10)
    assert (holder.organization_id, holder.run_id) == (at.organization_id, at.run_id)
    await artefacts.delete(holder.organization_id, holder.run_id)
    assert (count(documents, CHUNKS), count(documents, ARTEFACTS)) == (0, 0)


async def test_while_the_store_is_away_uploads_are_refused_and_runs_wait_without_an_error(
    database: Database, documents: Documents, mongodb_engine: MongoDbEngine
) -> None:
    uri = f"{documents.uri}&serverSelectionTimeoutMS=500"
    await declare.run(uri)
    async with (
        running_mesh(database, APPS, {"MONGODB_URI": uri}) as mesh,
        Pool(database.app_dsn, "review", max_size=4) as pool,
        open_channel(mesh.mesh.internal("webhooks"), "review_worker") as nowhere,
        AsyncExitStack() as stack,
    ):
        stub = LocalReviewServiceStub(mesh.public("review"))
        request = local_review_service_pb2.CreateLocalReviewRequest(diff=diff_of("tool.py", EVIL).decode())
        review = (await stub.CreateLocalReview(request, metadata=mesh.local.metadata, timeout=30)).review
        store = MongoChunks(uri)
        stack.push_async_callback(store.close)
        runs = Runs(pool)
        pipeline = Pipeline(pool, runs, CodeHosts(nowhere), UploadSource(Artefacts(store)))
        worker = Worker(runs, pipeline.carry, 1)
        owner = await asyncpg.connect(database.owner_dsn)
        state = "SELECT state, waits, errors, crashes FROM review.runs WHERE id = $1"
        mongodb_engine.kill()
        try:
            assert await store.problem() == "The document store does not answer (ServerSelectionTimeoutError)."
            with pytest.raises(Exception, match="The document store does not answer"):
                await stub.CreateLocalReview(request, metadata=mesh.local.metadata, timeout=30)
            assert await worker.claim_next()
            await worker.drain(60)
            row = await owner.fetchrow(state, review.id)
            assert row is not None
            assert tuple(row) == ("QUEUED", 1, 0, 0)
        finally:
            mongodb_engine.start()

        async def is_completed() -> bool:
            await owner.execute("UPDATE review.runs SET available_at = clock_timestamp()")
            again = Worker(runs, pipeline.carry, 1)
            await again.claim_next()
            await again.drain(60)
            row = await owner.fetchrow(state, review.id)
            assert row is not None
            assert (row["errors"], row["crashes"]) == (0, 0)
            return bool(row["state"] == "COMPLETED")

        await until(is_completed)
        assert await store.problem() == ""
        await owner.close()


async def test_an_upload_waits_for_a_store_that_is_away_only_once(database: Database) -> None:
    nowhere = MongoChunks("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50")

    async def upload() -> AsyncIterator[Piece]:
        yield Piece(Part.DIFF, diff_of("tool.py", EVIL))

    async with Pool(database.app_dsn, "review", max_size=1) as pool:
        reviews = LocalReviews(pool, Artefacts(nowhere))
        with capture_logs() as logs, pytest.raises(AppError) as caught:
            await reviews.create(Principal(new_id(), None, "owner", "test"), Options(), upload())
    assert caught.value.reason is Reason.UNAVAILABLE
    assert [each["event"] for each in logs] == ["document store lost"]  # with both waits, the edge's deadline passed
    await nowhere.close()


async def test_what_the_driver_says_becomes_a_reason_to_wait() -> None:
    nowhere = MongoChunks("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50")
    with pytest.raises(AppError) as caught:
        await nowhere.manifest(key())
    assert caught.value.reason is Reason.UNAVAILABLE
    with pytest.raises(AppError):
        await nowhere.delete(new_id(), new_id())
    await nowhere.close()


@pytest.mark.parametrize(
    ("environ", "uri"),
    [
        ({}, None),
        ({"MONGODB_URI": "mongodb://u:p@h/db?tls=true", "API_MG_DB_HOST": "other"}, "mongodb://u:p@h/db?tls=true"),
        ({"API_MG_DB_HOST": "h"}, "mongodb://h:27017/lintel"),
        (
            {"API_MG_DB_HOST": "h", "API_MG_DB_PORT": "1", "API_MG_DB_USERNAME": "a@b", "API_MG_DB_PASSWORD": "p/w"},
            "mongodb://a%40b:p%2Fw@h:1/lintel?authSource=admin",
        ),
    ],
)
def test_the_environment_names_the_store(environ: dict[str, str], uri: str | None) -> None:
    assert load(DocumentSettings, environ).documents_uri == uri


@pytest.mark.parametrize(
    "environ", [{"MONGODB_URI": "http://u:hunter2@h"}, {"API_MG_DB_HOST": "mongodb://u:hunter2@h"}]
)
def test_what_can_not_be_an_address_is_refused_without_its_password(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"MONGODB_URI") as caught:
        load(DocumentSettings, environ)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "rest",
    ["h/?tls=maybe", "h/?tls=true&tlsCAFile=/nowhere", "h:port/", "h/?serverSelectionTimeoutMS=x", "h/?tlss=true"],
)
async def test_an_option_that_can_not_be_is_refused_without_the_password(rest: str) -> None:
    with pytest.raises(ConfigError, match="MONGODB_URI can't be used") as caught:
        MongoChunks(f"mongodb://user:hunter2@{rest}")
    assert "hunter2" not in str(caught.value)
