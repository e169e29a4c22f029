from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from emulators.github import GitHubEmulator
from emulators.github.model import Limits
from emulators.gitlab import GitLabEmulator
from emulators.gitlab import Limits as GitLabLimits
from services.kit.postgres.pool import Database
from tests.contract.hosts.github import repository
from tests.integration.publication.world import TOKEN, GitLabWorld, World
from tests.support import postgres


@pytest.fixture(scope="session")
def reviewed_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository.small(tmp_path_factory.mktemp("reviewed") / "repository").path


@pytest.fixture
async def world(
    request: pytest.FixtureRequest, database: postgres.Database, reviewed_repository: Path
) -> AsyncIterator[World]:
    """A pull request opened at topic-1; at the end no request may have broken the host's description."""
    pool = Database(database.app_dsn, "webhooks")
    await pool.open()
    owner = await asyncpg.connect(database.owner_dsn)
    # Each test publishes more than a host would take in a minute; limits are met where a test orders them.
    limits = Limits(points_per_minute=10**9, content_per_minute=10**9, content_per_hour=10**9, requests_per_hour=10**9)
    gitlab_limits = GitLabLimits(requests_per_minute=10**9, notes_per_minute=10**9)
    emulator: Any
    kind: type[World]
    if getattr(request, "param", "github") == "gitlab":
        emulator, kind = GitLabEmulator(reviewed_repository, "acme/shop", TOKEN, limits=gitlab_limits), GitLabWorld
    else:
        emulator, kind = GitHubEmulator(reviewed_repository, "acme", "shop", TOKEN, limits=limits), World
    async with emulator:
        await emulator.open_pull(head="topic-1", base="main")
        world = kind(emulator, pool, owner)
        yield world
        await world.close()
        emulator.check()
    await owner.close()
    await pool.close()
