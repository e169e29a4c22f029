"""The roles as processes of their own, over mutual TLS, behind a real Envoy: what production runs, on loopback."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx2
import pytest
from lintel.orgs.v1 import organization_service_pb2, organization_service_pb2_grpc

from cli.engines.envoy import find_binary
from deploy.certificates import make
from services.bootstrap import bootstrap
from services.kit import paging
from services.kit.rpc.addresses import PORTS
from tests.integration.services.test_process import ready
from tests.support.mesh import CRYPTO_KEY
from tests.support.postgres import Database
from tests.support.rpc import short_directory

ROOT = Path(__file__).parents[3]
# As compose.prod.yaml groups them, and the rest by themselves.
PROCESSES = {
    "auth": ["auth"],
    "orgs": ["orgs"],
    "llm-gateway": ["llm_gateway"],
    "webhooks": ["webhooks", "webhooks_worker"],
    "review": ["review"],
    "review-worker": ["review_worker"],
    "edge": ["gateway"],
}


@dataclass(frozen=True)
class Mesh:
    edge: str
    key: str
    processes: dict[str, asyncio.subprocess.Process]


def free_ports(base: int, offsets: list[int]) -> bool:
    try:
        for offset in offsets:
            with socket.create_server(("127.0.0.1", base + offset)):
                pass
    except OSError:
        return False
    return True


def free_base() -> int:
    offsets = [port + listener for port in PORTS.values() for listener in (0, 1)] + [90, 91]
    return next(base for base in range(22_000 + os.getpid() % 20_000, 60_000, 100) if free_ports(base, offsets))


@pytest.fixture
async def mesh(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mesh]:
    monkeypatch.setenv("API_CRYPTO_KEY", CRYPTO_KEY)
    paging._keys.cache_clear()
    _, key = await bootstrap(database.app_dsn)
    make(tmp_path, {name: [*roles, "envoy"] if name == "edge" else roles for name, roles in PROCESSES.items()})
    base = free_base()
    common = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos/gen'}",
        "DATABASE_URL": database.app_dsn,
        "API_CRYPTO_KEY": CRYPTO_KEY,
        "API_JWT_SECRET": CRYPTO_KEY[::-1],
        "LINTEL_MESH_HOSTS": ",".join(f"{role}=127.0.0.1" for role in PORTS),
        "LINTEL_MESH_PORT": str(base),
        "LINTEL_MESH_BIND": "127.0.0.1",
        "LINTEL_EDGE": "envoy",
        "API_PORT": str(base + 90),
        "API_WEBHOOKS_PORT": str(base + 91),
        "LINTEL_BIND_ADDRESS": "127.0.0.1",
    }
    async with AsyncExitStack() as stack:
        processes = {}
        for name, roles in PROCESSES.items():
            run_dir = stack.enter_context(short_directory())
            environment = common | {"LINTEL_RUN_DIR": str(run_dir), "LINTEL_MESH_TLS": str(tmp_path / name)}
            processes[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services", *roles), env=environment, cwd=ROOT, stderr=asyncio.subprocess.PIPE
            )
            stack.push_async_callback(end, processes[name])
        await asyncio.gather(*(ready(process) for process in processes.values()))
        rendered = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.envoy"), env=environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        configuration = tmp_path / "envoy.yaml"
        configuration.write_bytes((await rendered.communicate())[0])
        binary = find_binary()
        assert binary is not None
        options = ("--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warn", "--disable-hot-restart")
        envoy = await asyncio.create_subprocess_exec(
            str(binary), "-c", str(configuration), *options, stdout=asyncio.subprocess.DEVNULL
        )
        stack.push_async_callback(end, envoy)
        yield Mesh(f"127.0.0.1:{base + 90}", key or "", processes)
    paging._keys.cache_clear()


async def end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 30)


async def until_healthy(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if (await client.get("/health/ready")).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.1)


async def test_rest_and_grpc_go_through_the_whole_mesh(mesh: Mesh) -> None:
    headers = {"authorization": f"Bearer {mesh.key}"}
    async with httpx2.AsyncClient(base_url=f"http://{mesh.edge}", headers=headers, trust_env=False) as client:
        await until_healthy(client)
        # Envoy -> gateway -> orgs -> auth: the last two hops over mutual TLS, with a key that auth resolves.
        answer = await client.get("/organization")
        assert answer.status_code == 200
        assert (await client.get("/organization", headers={"authorization": "Bearer no"})).status_code == 401
        assert (await client.get("/codeReview")).status_code == 200
        async with grpc.aio.insecure_channel(mesh.edge) as channel:
            stub = organization_service_pb2_grpc.OrganizationServiceStub(channel)
            metadata = (("authorization", f"Bearer {mesh.key}"),)
            request = organization_service_pb2.GetOrganizationRequest()
            found = await stub.GetOrganization(request, metadata=metadata, timeout=10)
        assert found.id == answer.json()["id"]


async def test_each_process_drains_and_ends(mesh: Mesh) -> None:
    for process in mesh.processes.values():
        process.send_signal(signal.SIGTERM)
    codes = await asyncio.gather(*(asyncio.wait_for(p.wait(), 30) for p in mesh.processes.values()))
    assert set(codes) == {0}
