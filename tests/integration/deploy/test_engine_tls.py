"""TLS to the engines by the options of their addresses: a certificate that can be trusted is needed, and is enough.

The engines of the tests speak no TLS themselves, so a front of the test's own does it before them, as a managed
service's load balancer would; clients and engines are the real ones.
"""

import asyncio
import contextlib
import gc
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.engines.mongodb import MongoDbEngine
from cli.engines.postgres import PostgresEngine
from deploy.certificates import make
from services.kit.artefacts.mongodb import MongoChunks
from services.kit.bus.address import parse
from services.kit.bus.rabbitmq import RabbitMqBus
from services.kit.bus.topology import Topology
from services.kit.errors import AppError
from services.kit.postgres.pool import Database
from tests.integration.bus.conftest import Inbox, envelope, topology  # noqa: F401
from tests.support.postgres import Database as Provided
from tests.support.system import until

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16/"  # of Postgres's protocol: may we speak TLS?


@dataclass(frozen=True)
class Certificates:
    server: Path  # of the name localhost
    ca: Path
    other_ca: Path


# Where a handshake fails, the libraries leave a coroutine or a socket of theirs to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Have it collect here, and not in a later test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("tls")
    make(directory, {"server": ["localhost"]})
    make(directory / "others", {"server": ["localhost"]})
    return Certificates(directory / "server", directory / "server/ca.pem", directory / "others/server/ca.pem")


@asynccontextmanager
async def front(certificates: Certificates, target: Any, *, is_postgres: bool = False) -> AsyncIterator[int]:
    """Listen with TLS on a free port and carry what comes to `target`, a (host, port) or the path of a socket."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server / "cert.pem", certificates.server / "key.pem")
    tasks: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, OSError):
            if is_postgres:
                assert await reader.readexactly(len(SSL_REQUEST)) == SSL_REQUEST
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(context)
            opened = (
                asyncio.open_unix_connection(str(target))
                if isinstance(target, Path)
                else asyncio.open_connection(*target)
            )
            inner_reader, inner_writer = await opened
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
        writer.close()

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if is_postgres else context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_postgres(certificates: Certificates, postgres_server: PostgresEngine, database: Provided) -> None:
    async with front(certificates, postgres_server.socket_path, is_postgres=True) as port:
        address = f"postgresql://lintel@localhost:{port}/{database.name}?sslmode=verify-full&sslrootcert="
        async with Database(f"{address}{certificates.ca}", "review", max_size=1) as pool:
            await pool.ping()
        async with Database(f"{address}{certificates.other_ca}", "review", max_size=1) as pool:
            with pytest.raises((AppError, ssl.SSLError)):
                await pool.ping()


async def test_rabbitmq(certificates: Certificates, rabbitmq_uri: str, topology: Topology) -> None:  # noqa: F811
    plain, inbox = parse(rabbitmq_uri), Inbox()
    async with front(certificates, (plain.host, plain.port)) as port:
        address = f"amqps://{plain.user}:{plain.password}@localhost:{port}{plain.raw_path}?cacertfile="
        bus = RabbitMqBus(parse(f"{address}{certificates.ca}"), topology)
        try:
            sent = envelope(1)

            async def arrived() -> bool:
                with contextlib.suppress(AppError):
                    await bus.publish([sent])
                return sent.id in inbox.kept

            async with bus.subscription("review", inbox.accept):
                await until(arrived)
        finally:
            await bus.close()
        stranger = RabbitMqBus(parse(f"{address}{certificates.other_ca}"), topology)
        try:
            with pytest.raises(AppError):
                await stranger.publish([envelope(2)])
        finally:
            await stranger.close()


async def test_mongodb(certificates: Certificates, mongodb_engine: MongoDbEngine) -> None:
    async with front(certificates, ("127.0.0.1", mongodb_engine.port)) as port:
        address = (
            f"mongodb://localhost:{port}/tls?directConnection=true&serverSelectionTimeoutMS=2000&tls=true&tlsCAFile="
        )
        store = MongoChunks(f"{address}{certificates.ca}")
        try:
            assert not await store.problem()
        finally:
            await store.close()
        stranger = MongoChunks(f"{address}{certificates.other_ca}")
        try:
            assert await stranger.problem()
        finally:
            await stranger.close()
