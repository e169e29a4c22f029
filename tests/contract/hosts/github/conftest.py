from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulators.github import GitHubEmulator
from services.webhooks.hosts.base import PullRequestRef, StaticToken
from services.webhooks.hosts.github.client import Client
from services.webhooks.hosts.github.reviews import GitHub
from services.webhooks.hosts.marker import Marker
from tests.contract.hosts.github import repository

TOKEN = "ghs_123_token-of-the-tests"


@pytest.fixture(scope="session")
def small_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository.small(tmp_path_factory.mktemp("small") / "repository").path


@pytest.fixture(scope="session")
def all_kinds_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository.all_kinds(tmp_path_factory.mktemp("all_kinds") / "repository").path


@pytest.fixture
async def emulator(small_repository: Path) -> AsyncIterator[GitHubEmulator]:
    async with GitHubEmulator(small_repository, "acme", "shop", TOKEN) as running:
        yield running


@pytest.fixture
async def host(emulator: GitHubEmulator) -> AsyncIterator[GitHub]:
    github = GitHub(Client(StaticToken(TOKEN), emulator.url), Marker([b"k" * 32]))
    yield github
    await github.close()


def make_ref(number: int = 1) -> PullRequestRef:
    return PullRequestRef("github", "", "4711", "acme/shop", number)
