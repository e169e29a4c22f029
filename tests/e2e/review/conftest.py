"""A repository, a strict code host that serves it, and the whole system with it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from emulators.github import GitHubEmulator
from services.kit.bus.address import parse
from services.kit.bus.in_process import InProcessBus
from services.kit.bus.port import Bus
from services.kit.bus.rabbitmq import RabbitMqBus
from services.kit.bus.topology import Topology
from tests.e2e.review.steps import CLEAN
from tests.support.malicious import MaliciousBus
from tests.support.postgres import Database
from tests.support.rabbitmq import forget
from tests.support.system import TOKEN, Repository, System, running_system


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    made.commit({"app.py": CLEAN, "readme.md": "# Shop\n"}, "start")
    return made


@pytest.fixture
async def emulator(repository: Repository) -> AsyncIterator[GitHubEmulator]:
    async with GitHubEmulator(repository.path, "acme", "shop", TOKEN) as made:
        yield made
        made.check()


@pytest.fixture
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    """The bus between the roles: in process, or what `EVERY_BUS` names."""
    kind: str = getattr(request, "param", "in_process")
    made: Bus = InProcessBus()
    names = Topology(f"e2e-{uuid4().hex}")
    if kind == "rabbitmq":
        made = RabbitMqBus(parse(request.getfixturevalue("rabbitmq_uri")), names)
    elif kind.startswith("malicious"):
        made = MaliciousBus(made, int(kind.partition("-")[2]))
    yield made
    await made.close()
    if kind == "rabbitmq":
        await forget(request.getfixturevalue("rabbitmq_uri"), names)


@pytest.fixture
async def system(
    database: Database, emulator: GitHubEmulator, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[System]:
    monkeypatch.setattr("services.kit.postgres.outbox.ASK_AFTER", timedelta(seconds=0.5))
    async with running_system(database, emulator, {"LINTEL_OUTBOX_ASK_SECONDS": "1"}, bus=bus) as made:
        yield made
