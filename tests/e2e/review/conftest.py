"""A repository, a strict code host that serves it, and the whole system with it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emulators.github import GitHubEmulator
from tests.e2e.review.steps import CLEAN
from tests.support.postgres import Database
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
async def system(database: Database, emulator: GitHubEmulator) -> AsyncIterator[System]:
    async with running_system(database, emulator) as made:
        yield made
