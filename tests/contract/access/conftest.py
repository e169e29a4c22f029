"""One running system for all tests of this directory."""

from collections.abc import AsyncIterator

import pytest

from cli.engines.postgres import PostgresEngine
from tests.contract.access.world import World, running_world
from tests.support.postgres import fresh_database


@pytest.fixture(scope="package")
async def world(postgres_server: PostgresEngine, postgres_template: str) -> AsyncIterator[World]:
    """The system with two organisations; tests make what they need and count on nothing else."""
    async with fresh_database(postgres_server, postgres_template) as database, running_world(database) as made:
        yield made
