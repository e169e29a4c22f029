"""The edge over real sockets, in front of the roles of `upstream`."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from gateway.app import running
from gateway.config import GatewayConfig
from services.kit.config import load
from tests.integration.edge.upstream import KEY, Script, Upstream, serve_roles


def configured(run_dir: Path, **variables: object) -> GatewayConfig:
    """Answer the configuration that these variables of the environment make."""
    return load(GatewayConfig, {"LINTEL_RUN_DIR": str(run_dir)} | {k: str(v) for k, v in variables.items()})


@pytest.fixture(scope="session")
def run_dir() -> Iterator[Path]:
    """A short path: a unix socket's has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="lintel-") as path:
        yield Path(path)


@pytest.fixture(scope="session")
async def roles(run_dir: Path) -> AsyncIterator[Upstream]:
    async with serve_roles(run_dir) as upstream:
        yield upstream


@pytest.fixture
def upstream(roles: Upstream) -> Upstream:
    """The roles, with a fresh script."""
    roles.script = Script()
    return roles


@pytest.fixture(scope="session")
async def gateway(roles: Upstream) -> AsyncIterator[Path]:
    """The gateway behind unix sockets, as Envoy sees it."""
    async with running(configured(roles.run_dir, LINTEL_EDGE="envoy")):
        yield roles.run_dir / "gateway.sock"


@pytest.fixture
async def rest(gateway: Path, upstream: Upstream) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with a valid key."""
    transport = httpx2.AsyncHTTPTransport(uds=str(gateway))
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://edge", headers=headers) as client:
        yield client
