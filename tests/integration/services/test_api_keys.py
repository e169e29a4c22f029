"""API keys through the running service: shown once, listed without the key, ended, resolved for the mesh."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from lintel.auth.v1 import api_key_service_pb2 as pb
from lintel.auth.v1.api_key_service_pb2_grpc import ApiKeyServiceStub
from lintel.auth.v1.credential_service_pb2 import ResolveApiKeyRequest
from lintel.auth.v1.credential_service_pb2_grpc import CredentialServiceStub

from services.kit.errors import AppError, Reason
from services.kit.redact import mask
from services.kit.rpc.authenticate import API_KEY
from services.kit.rpc.status import rpc_errors
from tests.support.mesh import Caller, RunningMesh


async def create(mesh: RunningMesh, caller: Caller, **fields: Any) -> pb.CreateApiKeyResponse:
    stub = ApiKeyServiceStub(mesh.public("auth"))
    with rpc_errors():
        return await stub.CreateApiKey(pb.CreateApiKeyRequest(**{"name": "ci", **fields}), metadata=caller.metadata)


async def listed(mesh: RunningMesh, caller: Caller, **fields: Any) -> pb.ListApiKeysResponse:
    stub = ApiKeyServiceStub(mesh.public("auth"))
    with rpc_errors():
        return await stub.ListApiKeys(pb.ListApiKeysRequest(**fields), metadata=caller.metadata)


async def delete(mesh: RunningMesh, caller: Caller, key_id: str) -> None:
    stub = ApiKeyServiceStub(mesh.public("auth"))
    with rpc_errors():
        await stub.DeleteApiKey(pb.DeleteApiKeyRequest(id=key_id), metadata=caller.metadata)


async def resolve(mesh: RunningMesh, key: str) -> Any:
    stub = CredentialServiceStub(mesh.internal("auth", "review"))
    with rpc_errors():
        return await stub.ResolveApiKey(ResolveApiKeyRequest(key=key))


async def refused(call: Any) -> AppError:
    with pytest.raises(AppError) as caught:
        await call
    return caught.value


def at(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


async def test_a_key_works_has_its_maker_s_role_and_is_shown_once(mesh: RunningMesh) -> None:
    contributor = await mesh.caller("contributor")
    made = await create(mesh, contributor, name="  ci  ", scopes=["read", "read"])
    assert API_KEY.match(made.key)
    assert made.key not in mask(f"the key is {made.key}")  # logs know what to hide
    assert made.api_key.name == "ci"
    assert list(made.api_key.scopes) == ["read"]
    assert made.key.startswith(made.api_key.prefix)
    assert len(made.api_key.prefix) == 12
    found = await resolve(mesh, made.key)
    assert (found.role, list(found.scopes), found.user_id) == ("contributor", ["read"], "")
    assert found.organization_id == str(mesh.local.organization_id)
    assert found.api_key_id == made.api_key.id
    shown = (await listed(mesh, contributor)).SerializeToString()
    assert made.key.encode() not in shown
    assert made.api_key.id.encode() in shown


async def test_only_the_digest_is_stored(mesh: RunningMesh) -> None:
    made = await create(mesh, mesh.local)
    connection = await asyncpg.connect(mesh.database.owner_dsn)
    row = str(await connection.fetchrow("SELECT api_keys::text FROM auth.api_keys WHERE id = $1", made.api_key.id))
    await connection.close()
    assert made.api_key.prefix in row
    assert made.key.removeprefix(made.api_key.prefix) not in row


async def test_a_read_key_may_read_and_not_write(mesh: RunningMesh) -> None:
    reader = await mesh.caller("owner", None, "read")
    await listed(mesh, reader)
    error = await refused(create(mesh, reader))
    assert (error.reason, error.message) == (Reason.PERMISSION_DENIED, "This key may only read.")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": ""}, {"name"}),
        ({"name": "x" * 101}, {"name"}),
        ({"name": " "}, {"name"}),
        ({"name": "a\nb"}, {"name"}),
        ({"scopes": ["admin"]}, {"scopes"}),
        ({"scopes": ["read", "all", "all"]}, {"scopes"}),
        ({"expire_time": at(datetime.now(UTC) - timedelta(seconds=1))}, {"expire_time"}),
        ({"expire_time": Timestamp(seconds=2**62)}, {"expire_time"}),
        ({"name": "\t", "scopes": ["root"]}, {"name", "scopes"}),
    ],
)
async def test_a_bad_request_names_its_fields(mesh: RunningMesh, fields: dict[str, Any], named: set[str]) -> None:
    error = await refused(create(mesh, mesh.local, **fields))
    assert error.reason is Reason.INVALID_REQUEST
    assert {violation.field for violation in error.violations} == named


async def test_pages_hold_every_key_once_newest_first(mesh: RunningMesh) -> None:
    made = [(await create(mesh, mesh.local, name=f"key {n}")).api_key.id for n in range(5)]
    seen: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        page = await listed(mesh, mesh.local, page_size=2, page_token=token)
        assert len(page.api_keys) <= 2
        seen, token, pages = [*seen, *(key.id for key in page.api_keys)], page.next_page_token, pages + 1
    assert pages == 3
    assert seen[:5] == made[::-1]
    assert len(seen) == 6  # and the local one


async def test_a_page_token_is_of_its_list_only(mesh: RunningMesh) -> None:
    for _ in range(2):
        await create(mesh, mesh.local)
    token = (await listed(mesh, mesh.local, page_size=1)).next_page_token
    stranger = await mesh.caller("owner", uuid4())
    for caller, sent in ((stranger, token), (mesh.local, token[:-1]), (mesh.local, "AAAA")):
        error = await refused(listed(mesh, caller, page_size=1, page_token=sent))
        assert error.reason is Reason.PAGE_TOKEN_INVALID


async def test_a_deleted_key_is_gone_at_once_for_the_mesh(mesh: RunningMesh) -> None:
    made = await create(mesh, mesh.local)
    await delete(mesh, mesh.local, made.api_key.id)
    assert (await refused(resolve(mesh, made.key))).reason is Reason.UNAUTHENTICATED
    assert made.api_key.id not in {key.id for key in (await listed(mesh, mesh.local)).api_keys}
    assert (await refused(delete(mesh, mesh.local, made.api_key.id))).reason is Reason.NOT_FOUND


async def test_a_key_of_another_organisation_is_not_found(mesh: RunningMesh) -> None:
    made = await create(mesh, mesh.local)
    stranger = await mesh.caller("owner", uuid4())
    assert (await refused(delete(mesh, stranger, made.api_key.id))).reason is Reason.NOT_FOUND
    assert made.api_key.id not in {key.id for key in (await listed(mesh, stranger)).api_keys}
    await resolve(mesh, made.key)


async def test_an_expired_key_is_nobody_s(mesh: RunningMesh) -> None:
    made = await create(mesh, mesh.local, expire_time=at(datetime.now(UTC) + timedelta(hours=1)))
    assert made.api_key.HasField("expire_time")
    await resolve(mesh, made.key)
    connection = await asyncpg.connect(mesh.database.owner_dsn)
    await connection.execute("UPDATE auth.api_keys SET expire_time = now() WHERE id = $1", made.api_key.id)
    await connection.close()
    assert (await refused(resolve(mesh, made.key))).reason is Reason.UNAUTHENTICATED


@pytest.mark.parametrize(
    "credential", ["", "Bearer ", "Bearer nonsense", "Basic bGludGVs", "Bearer lintel_" + "0" * 43]
)
async def test_without_a_good_key_nobody_is_let_in(mesh: RunningMesh, credential: str) -> None:
    stub = ApiKeyServiceStub(mesh.public("auth"))
    metadata = (("authorization", credential),) if credential else ()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListApiKeys(pb.ListApiKeysRequest(), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_caller_that_is_not_in_the_table_learns_nothing(mesh: RunningMesh) -> None:
    stub = CredentialServiceStub(mesh.internal("auth", "somebody"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ResolveApiKey(ResolveApiKeyRequest(key=mesh.local.key))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
