"""A real RabbitMQ for tests: the caller's, or one of our own per session; without either its tests are skipped."""

import os
from collections.abc import Iterator

import aio_pika
import pytest

from cli.engines.rabbitmq import HINT, RabbitMqEngine, find_server
from services.kit.bus.address import parse
from services.kit.bus.topology import CONSUMERS, Topology
from tests.support.engines import skip_or_fail

MISSING = f"needs RabbitMQ: set API_RABBITMQ_URI, or install rabbitmq-server ({HINT}), or ./lintel test --install"


@pytest.fixture(scope="session")
def rabbitmq_engine() -> Iterator[RabbitMqEngine]:
    """Run one broker for the whole session, ours to restart and to break; whoever stops it starts it again."""
    if find_server() is None:
        skip_or_fail(MISSING)
    engine = RabbitMqEngine()
    try:
        engine.start()
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="session")
def rabbitmq_uri(request: pytest.FixtureRequest) -> str:
    """Answer a broker's URI; others use it too, so names on it need a prefix of the test's own."""
    given = os.environ.get("API_RABBITMQ_URI")
    if given:
        return given
    engine: RabbitMqEngine = request.getfixturevalue("rabbitmq_engine")
    return engine.uri


async def forget(uri: str, names: Topology) -> None:
    """Remove what was made under these names; there may be nothing."""
    async with await aio_pika.connect(parse(uri)) as connection, connection.channel() as channel:
        for consumer in CONSUMERS:
            await channel.queue_delete(names.queue(consumer))
            await channel.queue_delete(names.dead_queue(consumer))
        await channel.exchange_delete(names.events)
        await channel.exchange_delete(names.dead)
