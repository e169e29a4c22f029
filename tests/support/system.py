"""The whole system in the test's own event loop: every role over its sockets, a real database, a strict code host."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import httpx2

from gateway import app as gateway
from gateway.config import GatewayConfig
from services.auth.local_key import ensure_local_key
from services.kit.app import Mesh
from services.kit.bus.in_process import InProcessBus
from services.kit.bus.port import Bus
from services.kit.config import load
from services.kit.rpc.addresses import Addresses
from services.orgs.bootstrap import ensure_default_organization
from services.roles import ROLES
from tests.support.postgres import Database

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3  # a made-up one, in the form of a real one
SECRET = "a webhook secret of the tests"
JWT_SECRET = "Zk4nPq8sXv2bLm6wRt9yCd3fHj7gAe5u"
CRYPTO_KEY = "8f3b1c5d7e9a0246ab13cd57ef9024688642e0fa97dc53b1f1d3b5a7c9e80f2d"

ANY_PORT = {"LINTEL_EDGE": "direct", "API_PORT": "0", "API_WEBHOOKS_PORT": "0", "LINTEL_GRPC_PORT": "0"}


class Listening(Protocol):
    """A code host that listens."""

    @property
    def url(self) -> str:
        """Its address."""
        ...


@dataclass(slots=True)
class System:
    """A running system as a test sees it: its addresses, a client with its API key, and its database's owner."""

    edge_url: str
    webhooks_url: str
    api: httpx2.AsyncClient
    owner: "asyncpg.Pool[asyncpg.Record]"
    run_dir: Path
    key: str
    grpc_address: str

    @property
    def github_webhook(self) -> str:
        """Where the code host posts to."""
        return self.webhook("github")

    def webhook(self, host: str) -> str:
        """Where a code host posts to."""
        return f"{self.webhooks_url}/{host}/webhook"

    async def rows(self, query: str, *values: Any) -> list[asyncpg.Record]:
        """Ask the database, past row-level security."""
        found: list[asyncpg.Record] = await self.owner.fetch(query, *values)
        return found

    async def runs(self) -> list[tuple[str, str]]:
        """Answer head and state of every run, oldest first."""
        return [(r["head_sha"], r["state"]) for r in await self.rows("SELECT * FROM review.runs ORDER BY id")]

    async def settled(self) -> None:
        """Wait until nothing is to be done: no delivery, envelope or run waits or is on."""
        await until(self._is_settled)

    async def _is_settled(self) -> bool:
        open_rows = await self.owner.fetchval(
            "SELECT (SELECT count(*) FROM webhooks.deliveries WHERE state = 'RECEIVED') "
            "+ (SELECT count(*) FROM webhooks.outbox o WHERE NOT EXISTS "
            "(SELECT FROM review.inbox i WHERE i.id = o.id)) "
            "+ (SELECT count(*) FROM review.inbox WHERE state = 'RECEIVED') "
            "+ (SELECT count(*) FROM review.runs WHERE state IN ('QUEUED', 'RUNNING'))"
        )
        return bool(open_rows == 0)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Wait until a condition holds; fails the test after `seconds`."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is asked is in another process
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running_system(
    database: Database,
    emulator: Listening,
    environment: Mapping[str, str] | None = None,
    *,
    host: str = "github",
    roles: Sequence[str] = tuple(ROLES),
    bus: Bus | None = None,
) -> AsyncIterator[System]:
    """Run the roles (the gateway always) until the block ends; they drain as they do on SIGTERM."""
    async with AsyncExitStack() as stack:
        run_dir = Path(tempfile.mkdtemp(prefix="lt-"))
        stack.callback(shutil.rmtree, run_dir, ignore_errors=True)
        settings = {
            "LINTEL_RUN_DIR": str(run_dir),
            "DATABASE_URL": database.app_dsn,
            "API_CRYPTO_KEY": CRYPTO_KEY,
            "API_JWT_SECRET": JWT_SECRET,
            f"{host.upper()}_WEBHOOK_SECRET": SECRET,
            f"{host.upper()}_TOKEN": TOKEN,
            f"LINTEL_{host.upper()}_API_URL": emulator.url,
            **(environment or {}),
        }
        stack.callback(_restore, dict(os.environ))
        os.environ.update(settings)
        organization = await ensure_default_organization(database.app_dsn)
        key = await ensure_local_key(database.app_dsn, organization, rotate=True)
        mesh = Mesh(Addresses(run_dir), bus or InProcessBus())
        for name in roles:
            if name != "gateway":
                await stack.enter_async_context(ROLES[name].serve(mesh))
        edge = await stack.enter_async_context(
            gateway.running(load(GatewayConfig, {"LINTEL_RUN_DIR": str(run_dir), **ANY_PORT}))
        )
        owner = await stack.enter_async_context(asyncpg.create_pool(database.owner_dsn, min_size=0, max_size=3))
        url = f"http://127.0.0.1:{edge.port}"
        api = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30)
        )
        yield System(
            url, f"http://127.0.0.1:{edge.webhooks_port}", api, owner, run_dir, key or "", f"127.0.0.1:{edge.grpc_port}"
        )


def _restore(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


class Repository:
    """A git repository with a base branch and changes on it, made for one test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "T")
        self.git("config", "user.email", "t@example.invalid")

    def git(self, *words: str) -> str:
        """Run git and answer what it prints."""
        return subprocess.run(
            ["git", "-C", str(self.path), *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, files: Mapping[str, str | None], message: str = "change") -> str:
        """Write (None: remove) files, commit, and answer the hash."""
        for name, content in files.items():
            file = self.path / name
            if content is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")
