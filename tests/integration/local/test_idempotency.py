"""`Idempotency-Key` on a call that makes something: once made, once answered, also after a crash in the middle."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import grpc
import pytest
from lintel.review.v1.local_review_service_pb2 import CreateLocalReviewRequest, LocalReviewOptions
from lintel.review.v1.local_review_service_pb2_grpc import LocalReviewServiceStub

from services.auth import app as auth_app
from services.kit.errors import AppError, Reason
from services.kit.ids import new_id
from services.kit.rpc.status import rpc_errors
from services.orgs import app as orgs_app
from services.review import app as review_app
from tests.integration.local.conftest import EVIL, diff_of
from tests.support.mesh import Caller, RunningMesh, running_mesh
from tests.support.postgres import Database

APPS = {"auth": auth_app.serve, "orgs": orgs_app.serve, "review": review_app.serve}


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[RunningMesh]:
    async with running_mesh(database, APPS) as made:
        yield made


async def create(mesh: RunningMesh, who: Caller, key: str, repository: str = "") -> str:
    """Begin a review with a key and answer its id."""
    options = LocalReviewOptions(repository=repository)
    request = CreateLocalReviewRequest(diff=diff_of("tool.py", EVIL).decode(), options=options)
    metadata = (*who.metadata, ("idempotency-key", key))
    with rpc_errors():
        answer = await LocalReviewServiceStub(mesh.public("review")).CreateLocalReview(request, metadata=metadata)
    assert answer.review.state
    return str(answer.review.id)


async def as_owner(mesh: RunningMesh, statement: str, *values: Any) -> list[Mapping[str, Any]]:
    connection = await asyncpg.connect(mesh.database.owner_dsn)
    try:
        return list(await connection.fetch(statement, *values))
    finally:
        await connection.close()


async def count(mesh: RunningMesh) -> int:
    return int((await as_owner(mesh, "SELECT count(*) AS n FROM review.runs"))[0]["n"])


async def test_the_same_call_makes_one_thing(mesh: RunningMesh) -> None:
    first = await create(mesh, mesh.local, "k-1")
    assert await create(mesh, mesh.local, "k-1") == first
    assert await create(mesh, mesh.local, "k-2") != first
    assert await count(mesh) == 2


async def test_another_request_with_the_key_is_refused(mesh: RunningMesh) -> None:
    await create(mesh, mesh.local, "k-1", "a/b")
    with pytest.raises(AppError) as caught:
        await create(mesh, mesh.local, "k-1", "a/c")
    assert caught.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert await count(mesh) == 1


async def test_a_key_belongs_to_its_caller(mesh: RunningMesh) -> None:
    other = await mesh.caller("owner")
    stranger = await mesh.caller("owner", new_id())
    made = {await create(mesh, who, "k-1") for who in (mesh.local, other, stranger)}
    assert len(made) == 3


async def test_many_at_once_make_one_thing(mesh: RunningMesh) -> None:
    answers = await asyncio.gather(*(create(mesh, mesh.local, "k-1") for _ in range(12)), return_exceptions=True)
    made = {a for a in answers if isinstance(a, str)}
    refused = [a for a in answers if not isinstance(a, str)]
    assert len(made) == 1
    assert all(isinstance(a, AppError) and a.reason is Reason.IDEMPOTENCY_KEY_BUSY for a in refused)
    assert await count(mesh) == 1


@pytest.mark.parametrize("was_made", [True, False])
async def test_after_a_crash_the_next_call_finds_or_makes_it(mesh: RunningMesh, was_made: bool) -> None:
    first = await create(mesh, mesh.local, "k-1")
    # As a process leaves it that died between the work (or before it) and the record of it.
    await as_owner(
        mesh, "UPDATE review.idempotency_keys SET is_done = false, answered_id = '', running_until = clock_timestamp()"
    )
    if not was_made:
        await as_owner(mesh, "DELETE FROM review.runs")
    assert await create(mesh, mesh.local, "k-1") == first
    assert await count(mesh) == 1


async def test_a_refused_call_may_be_mended_under_its_key(mesh: RunningMesh) -> None:
    with pytest.raises(AppError) as caught:
        await create(mesh, mesh.local, "k-1", "two\nlines")
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert await create(mesh, mesh.local, "k-1", "one line")


async def test_a_day_later_the_key_is_new_and_nothing_of_the_request_was_kept(mesh: RunningMesh) -> None:
    first = await create(mesh, mesh.local, "k-1", "secret/name")
    rows = await as_owner(mesh, "SELECT k::text AS row FROM review.idempotency_keys k")
    assert "k-1" not in rows[0]["row"]
    assert "secret/name" not in rows[0]["row"]
    await as_owner(mesh, "UPDATE review.idempotency_keys SET create_time = create_time - interval '25 hours'")
    assert await create(mesh, mesh.local, "k-1") != first
    assert len(await as_owner(mesh, "SELECT 1 FROM review.idempotency_keys")) == 1


async def test_a_key_that_is_too_long_is_named(mesh: RunningMesh) -> None:
    with pytest.raises(AppError) as caught:
        await create(mesh, mesh.local, "k" * 256)
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert "255" in caught.value.message


async def test_without_the_key_nothing_is_kept(mesh: RunningMesh) -> None:
    request = CreateLocalReviewRequest(diff=diff_of("tool.py", EVIL).decode())
    stub = LocalReviewServiceStub(mesh.public("review"))
    await stub.CreateLocalReview(request, metadata=mesh.local.metadata)
    with pytest.raises(grpc.aio.AioRpcError):  # an open credential is no credential
        await stub.CreateLocalReview(request, metadata=(("idempotency-key", "k-1"),))
    assert not await as_owner(mesh, "SELECT 1 FROM review.idempotency_keys")
