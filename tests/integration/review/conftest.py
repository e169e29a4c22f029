"""A database of the review service, and the superuser's view of it."""

from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg
import pytest

from services.kit.postgres.pool import Database
from services.review.runs import Runs
from tests.support.postgres import Database as OneDatabase

Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def db(database: OneDatabase) -> AsyncIterator[Database]:
    opened = Database(database.app_dsn, "review")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def runs(db: Database) -> Runs:
    return Runs(db)


@pytest.fixture
async def owner(database: OneDatabase) -> AsyncIterator[Owner]:
    connection = await asyncpg.connect(database.owner_dsn)
    yield connection
    await connection.close()
