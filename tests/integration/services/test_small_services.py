"""orgs and llm_gateway through the running services, health and reflection of all three, and the bootstrap."""

import asyncio
import os
import sys
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from lintel.llm.v1 import model_service_pb2
from lintel.llm.v1.model_service_pb2_grpc import ModelServiceStub
from lintel.orgs.v1 import directory_service_pb2, organization_service_pb2
from lintel.orgs.v1.directory_service_pb2_grpc import DirectoryServiceStub
from lintel.orgs.v1.organization_service_pb2_grpc import OrganizationServiceStub

from services.bootstrap import bootstrap
from services.kit.config import variables
from services.kit.errors import AppError, Reason
from services.kit.rpc.authenticate import API_KEY
from services.kit.rpc.status import rpc_errors
from services.llm_gateway.config import LlmGatewaySettings
from services.llm_gateway.domain import KINDS
from services.orgs.bootstrap import ensure_default_organization
from tests.support.mesh import Caller, RunningMesh
from tests.support.postgres import Database

ROOT = Path(__file__).resolve().parents[3]


async def organization(mesh: RunningMesh, caller: Caller) -> organization_service_pb2.Organization:
    stub = OrganizationServiceStub(mesh.public("orgs"))
    with rpc_errors():
        return await stub.GetOrganization(organization_service_pb2.GetOrganizationRequest(), metadata=caller.metadata)


async def test_a_caller_gets_its_own_organisation(mesh: RunningMesh) -> None:
    found = await organization(mesh, mesh.local)
    assert UUID(found.id) == mesh.local.organization_id
    assert found.name == "Default"
    assert found.HasField("create_time")


async def test_an_organisation_that_is_none_is_not_found(mesh: RunningMesh) -> None:
    stranger = await mesh.caller("owner", uuid4())
    with pytest.raises(AppError) as caught:
        await organization(mesh, stranger)
    assert caught.value.reason is Reason.NOT_FOUND


async def test_the_mesh_learns_the_default_organisation(mesh: RunningMesh) -> None:
    stub = DirectoryServiceStub(mesh.internal("orgs", "webhooks"))
    found = await stub.GetDefaultOrganization(directory_service_pb2.GetDefaultOrganizationRequest())
    assert UUID(found.organization_id) == mesh.local.organization_id


async def test_providers_stand_in_the_order_of_auto_and_say_what_is_configured(mesh: RunningMesh) -> None:
    stub = ModelServiceStub(mesh.public("llm_gateway"))
    answer = await stub.ListProviders(model_service_pb2.ListProvidersRequest(), metadata=mesh.local.metadata)
    assert [(p.id, p.configured, p.requires_base_url) for p in answer.providers] == [
        ("openai", False, False),
        ("anthropic", True, False),
        ("google_gemini", False, False),
        ("google_vertex", False, False),
        ("novita", False, False),
        ("openai_compatible", True, True),
        ("open_router", False, False),
    ]
    assert all(p.name for p in answer.providers)


def test_every_variable_of_the_table_is_read_and_the_other_way_round() -> None:
    named = {name for kind in KINDS for name in kind.variables + kind.unless}
    read = {name for name in variables(LlmGatewaySettings) if name.startswith("API_") and name.endswith(("KEY", "URL"))}
    assert named | {"API_GROQ_BASE_URL", "API_CRYPTO_KEY"} == read


def test_a_forced_base_url_takes_the_place_of_openai() -> None:
    given = frozenset({"API_OPEN_AI_API_KEY", "API_OPENAI_FORCE_BASE_URL"})
    assert {kind.id for kind in KINDS if kind.is_configured(given)} == {"openai_compatible"}


@pytest.mark.parametrize("role", ["auth", "orgs", "llm_gateway"])
async def test_health_and_reflection_answer_on_both_listeners(mesh: RunningMesh, role: str) -> None:
    for channel in (mesh.public(role), mesh.internal(role, "gateway")):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        listed = await call.read()
        call.cancel()
        names = {s.name for s in listed.list_services_response.service}
        assert {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= names
        health = health_pb2_grpc.HealthStub(channel)
        for name in ["", *(n for n in names if n.startswith("lintel."))]:
            watch = health.Watch(health_pb2.HealthCheckRequest(service=name))
            async with asyncio.timeout(10):
                async for state in watch:
                    if state.status == health_pb2.HealthCheckResponse.SERVING:
                        break
            watch.cancel()


async def test_the_bootstrap_prints_a_key_once_and_rotates_it(database: Database) -> None:
    first, first_error = await run_bootstrap(database)
    assert API_KEY.match(first.rstrip("\n"))
    again, again_error = await run_bootstrap(database)
    assert again == ""
    assert "--rotate" in again_error
    second, _ = await run_bootstrap(database, "--rotate")
    assert API_KEY.match(second.rstrip("\n"))
    assert first != second
    assert first.strip() not in first_error
    connection = await asyncpg.connect(database.owner_dsn)
    living = await connection.fetch("SELECT prefix, role FROM auth.api_keys WHERE delete_time IS NULL")
    organizations = await connection.fetch("SELECT is_default FROM orgs.organizations")
    await connection.close()
    assert [(row["prefix"], row["role"]) for row in living] == [(second[:12], "owner")]
    assert [row["is_default"] for row in organizations] == [True]


async def test_many_bootstraps_at_once_make_one_organisation_and_one_key(database: Database) -> None:
    made = await asyncio.gather(*(bootstrap(database.app_dsn) for _ in range(8)))
    assert len({organization_id for organization_id, _ in made}) == 1
    assert len([key for _, key in made if key]) == 1


async def test_the_default_organisation_keeps_its_id(database: Database) -> None:
    first = await ensure_default_organization(database.app_dsn)
    assert await ensure_default_organization(database.app_dsn) == first


async def test_the_bootstrap_says_what_is_wrong(database: Database) -> None:
    process = await start_bootstrap({"DATABASE_URL": "postgresql://lintel@127.0.0.1:1/none"})
    out, error = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert b"bootstrap: UNAVAILABLE: The database does not answer." in error
    assert b"Traceback" not in error
    process = await start_bootstrap({})
    out, error = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert b"DATABASE_URL" in error


async def run_bootstrap(database: Database, *arguments: str) -> tuple[str, str]:
    process = await start_bootstrap({"DATABASE_URL": database.app_dsn}, *arguments)
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out.decode(), error.decode()


async def start_bootstrap(environ: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.auth.bootstrap", *arguments),
        env={"PATH": os.environ.get("PATH", os.defpath), **environ},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
