"""Who may call what: every RPC has a line, no server starts without it, and the lines are contract section 9."""

import asyncio
import os
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor

from gateway.public import PUBLIC_SERVICES, method_path
from gateway.transcode.rules import read_rules
from services.auth import app as auth_app
from services.auth import policy as auth
from services.kit.errors import AppError, Reason
from services.kit.rpc.policy import EVERYONE, Policy, PolicyError, Rule, check, internal, read, write
from services.kit.rpc.server import RpcServer
from services.kit.rpc.status import from_rpc_error
from services.llm_gateway import app as llm_gateway_app
from services.llm_gateway import policy as llm_gateway
from services.orgs import app as orgs_app
from services.orgs import policy as orgs
from services.review import app as review_app
from services.review import policy as review
from services.webhooks import app as webhooks_app
from services.webhooks import policy as webhooks
from tests.support.mesh import CRYPTO_KEY, JWT_SECRET, RunningMesh, running_mesh
from tests.support.postgres import Database
from tests.support.rpc import CALLER, models, policy_of, providers, short_directory

ROOT = Path(__file__).resolve().parents[2]
APPS = {
    "auth": auth_app.serve,
    "orgs": orgs_app.serve,
    "llm_gateway": llm_gateway_app.serve,
    "webhooks": webhooks_app.serve,
    "review": review_app.serve,
}
PUBLIC: Mapping[str, Policy] = {
    "auth": auth.PUBLIC,
    "orgs": orgs.PUBLIC,
    "llm_gateway": llm_gateway.PUBLIC,
    "webhooks": webhooks.PUBLIC,
    "review": review.PUBLIC,
}
INTERNAL: Mapping[str, Policy] = {
    "auth": auth.INTERNAL,
    "orgs": orgs.INTERNAL,
    "llm_gateway": llm_gateway.INTERNAL,
    "webhooks": webhooks.INTERNAL,
    "review": review.INTERNAL,
}
# Contract section 9, RPC by RPC, written by hand, so that a change of a policy has to be made twice.
EXPECTED: Mapping[str, Any] = tomllib.loads((ROOT / "tests/contract/access/expected.toml").read_text())
MAY: Mapping[str, set[str]] = {
    name: set(EVERYONE) if row.get("open") else set(row["may"]) for name, row in EXPECTED.items()
}
WRITES = {name for name, row in EXPECTED.items() if row.get("writes")}
OPEN = {name for name, row in EXPECTED.items() if row.get("open")}


def every_method() -> Iterator[tuple[str, MethodDescriptor]]:
    """All RPCs of all our services, from the committed descriptors."""
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString((ROOT / "protos/gen/descriptors.binpb").read_bytes())
    for file in files.file:
        pool.Add(file)
    for file in files.file:
        if file.package.startswith("lintel."):
            for service in file.service:
                for method in pool.FindServiceByName(f"{file.package}.{service.name}").methods:
                    yield f"/{file.package}.{service.name}/{method.name}", method


METHODS = dict(every_method())


def service_of(table: Mapping[str, Policy], name: str) -> str:
    return next(service for service, policy in table.items() if name in policy)


def test_every_rpc_has_exactly_one_line_and_every_line_an_rpc() -> None:
    lines = [name for table in (PUBLIC, INTERNAL) for policy in table.values() for name in policy]
    assert sorted(lines) == sorted(METHODS)


def test_the_table_of_the_contract_names_every_public_rpc() -> None:
    assert {f"/lintel.{name}" for name in MAY} == {name for policy in PUBLIC.values() for name in policy}


def test_what_is_documented_as_open_is_what_the_policy_opens() -> None:
    documented = {method_path(rule.method) for rule in read_rules(PUBLIC_SERVICES) if rule.is_open}
    opened = {name for policy in PUBLIC.values() for name, rule in policy.items() if rule.is_open}
    assert documented == opened


def test_a_proto_service_is_public_or_internal_as_a_whole() -> None:
    def services(table: Mapping[str, Policy]) -> set[str]:
        return {name.split("/")[1] for policy in table.values() for name in policy}

    assert not services(PUBLIC) & services(INTERNAL)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_no_server_starts_without_the_line(name: str) -> None:
    method = METHODS[name]
    assert method.containing_service is not None
    tables = {is_internal: p for is_internal, t in ((False, PUBLIC), (True, INTERNAL)) for p in t.values() if name in p}
    ((is_internal, policy),) = tables.items()
    services = [method.containing_service]
    check(policy, services, is_internal=is_internal)
    with pytest.raises(PolicyError, match=f"{name} has no line"):
        check({n: rule for n, rule in policy.items() if n != name}, services, is_internal=is_internal)
    with pytest.raises(PolicyError, match="against its line"):
        check(policy, services, is_internal=not is_internal)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (internal(CALLER), "is on the public listener against its line"),
        (Rule(), "can be called by nobody"),
        (None, "has no line in the policy table"),
    ],
)
async def test_a_public_server_is_not_made(rule: Rule | None, problem: str) -> None:
    toy = models(providers)
    with short_directory() as directory, pytest.raises(PolicyError, match=problem):
        policy = policy_of([toy], rule) if rule else {}
        RpcServer("toy", f"unix:{directory}/s", [toy], policy, authenticator=_nobody)


@pytest.mark.parametrize("rule", [read(EVERYONE), write(EVERYONE), Rule(is_open=True)])
async def test_an_internal_server_has_no_public_rpc(rule: Rule) -> None:
    toy = models(providers)
    with short_directory() as directory, pytest.raises(PolicyError, match="internal listener against its line"):
        RpcServer("toy", f"unix:{directory}/s", [toy], policy_of([toy], rule))


async def test_a_process_says_which_line_is_missing_and_ends() -> None:
    script = (
        "import sys; from services.auth import policy; from services.__main__ import main; "
        "del policy.PUBLIC['/lintel.auth.v1.ApiKeyService/DeleteApiKey']; sys.exit(main(['auth']))"
    )
    with short_directory() as directory:
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LINTEL_RUN_DIR": str(directory),
            "DATABASE_URL": "postgresql://lintel@127.0.0.1:1/none",
            "API_CRYPTO_KEY": CRYPTO_KEY,
            "API_JWT_SECRET": JWT_SECRET,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script), env=environ, cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        _, error = await process.communicate()
    assert process.returncode == 1
    assert b"lintel: /lintel.auth.v1.ApiKeyService/DeleteApiKey has no line in the policy table" in error
    assert b"Traceback" not in error


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[RunningMesh]:
    async with running_mesh(database, APPS) as made:
        yield made


async def test_the_table_of_roles_holds_on_the_running_servers(mesh: RunningMesh) -> None:
    wrong = []
    for role in sorted(EVERYONE):
        caller = await mesh.caller(role)
        reader = await mesh.caller(role, None, "read")
        for name, roles in MAY.items():
            channel = mesh.public(service_of(PUBLIC, f"/lintel.{name}"))
            for who, expected in ((caller, role in roles), (reader, role in roles and name not in WRITES)):
                reason = await call(channel, f"/lintel.{name}", who.metadata)
                # Whoever may call gets further than authorisation: to validation, or to an answer.
                allowed = reason not in (Reason.PERMISSION_DENIED, Reason.UNAUTHENTICATED, Reason.INTERNAL)
                if allowed is not expected:
                    wrong.append((role, who is reader, name, reason))
    assert wrong == []


async def test_nobody_without_a_credential_gets_in(mesh: RunningMesh) -> None:
    reasons = {
        name: await call(mesh.public(service_of(PUBLIC, f"/lintel.{name}")), f"/lintel.{name}", ())
        for name in MAY.keys() - OPEN
    }
    assert set(reasons.values()) == {Reason.UNAUTHENTICATED}


async def test_internal_rpcs_are_for_their_callers_on_their_listener(mesh: RunningMesh) -> None:
    for service, policy in INTERNAL.items():
        for name, rule in policy.items():
            stranger = mesh.internal(service, "stranger")
            assert await call(stranger, name, ()) is Reason.PERMISSION_DENIED, name
            assert await call(mesh.public(service), name, mesh.local.metadata) is Reason.UNIMPLEMENTED, name
            for caller in rule.callers:
                reason = await call(mesh.internal(service, caller), name, ())
                assert reason not in (Reason.PERMISSION_DENIED, Reason.UNIMPLEMENTED), (name, caller)


async def test_public_rpcs_are_not_on_the_internal_listener(mesh: RunningMesh) -> None:
    for service, policy in PUBLIC.items():
        for name in policy:
            channel = mesh.internal(service, "gateway")
            assert await call(channel, name, mesh.local.metadata) is Reason.UNIMPLEMENTED


async def call(channel: grpc.aio.Channel, name: str, metadata: Any) -> Reason | None:
    """Call an RPC with an empty request; answers the reason it is refused with, None if it is not."""
    method = METHODS[name]
    reply = message_factory.GetMessageClass(method.output_type)
    kind: Any = channel.unary_stream if method.server_streaming else channel.unary_unary
    made = kind(name, request_serializer=bytes, response_deserializer=reply.FromString)(b"", metadata=metadata)
    try:
        await (made.read() if method.server_streaming else made)
    except grpc.aio.AioRpcError as error:
        found: AppError = from_rpc_error(error)
        return found.reason
    return None


async def _nobody(credential: str) -> Any:
    raise AppError(Reason.UNAUTHENTICATED)
