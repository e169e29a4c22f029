"""A real Postgres for tests: one server per session, one fresh database per test, cloned from a migrated template."""

import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import asyncpg
import pytest

from cli.engines.postgres import PostgresEngine

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = "lintel_template"
APPLICATION_ROLE = "lintel"

# A test server may forget everything when the machine stops, but not when a process does.
UNSAFE_ON_POWER_LOSS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """One test's own database: `owner_dsn` is the superuser's, `app_dsn` the application's login role's."""

    name: str
    owner_dsn: str
    app_dsn: str


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresEngine]:
    """Run one Postgres for the whole session; it ends with the test process whatever happens to that."""
    engine = PostgresEngine(tmp_path_factory.mktemp("postgres"), UNSAFE_ON_POWER_LOSS)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


@pytest.fixture(scope="session")
async def postgres_template(postgres_server: PostgresEngine) -> str:
    """Make the template database once and bring it to the newest schema; returns its name."""
    await administer(postgres_server, f"CREATE DATABASE {TEMPLATE}")
    if util.find_spec("migrations.__main__"):
        migrate(postgres_server.dsn(TEMPLATE))
    return TEMPLATE


@pytest.fixture
async def database(postgres_server: PostgresEngine, postgres_template: str) -> AsyncIterator[Database]:
    """Give the test a database nobody else sees, dropped afterwards with whatever is still connected to it."""
    async with fresh_database(postgres_server, postgres_template) as made:
        yield made


@asynccontextmanager
async def fresh_database(server: PostgresEngine, template: str) -> AsyncIterator[Database]:
    """Make a database from the template for as long as the block runs."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield Database(name, server.dsn(name), server.dsn(name, APPLICATION_ROLE))
    finally:
        await administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def migrate(dsn: str) -> None:
    """Run the migrations as `./lintel migrate run` does; raises AssertionError with their output when they fail."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos/gen'}",
        "LINTEL_MIGRATIONS_URL": dsn,
    }
    done = subprocess.run(
        [sys.executable, "-m", "migrations", "run"], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"migrations failed:\n{done.stdout}{done.stderr}"


async def administer(server: PostgresEngine, statement: str) -> None:
    """Run one statement as the superuser outside any transaction."""
    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
