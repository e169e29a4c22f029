"""The pool on a real database: what is a lost database and what a fault of ours, and how it comes back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from services.kit.errors import AppError, Reason
from services.kit.postgres.pool import Connection
from services.kit.postgres.pool import Database as Pool
from services.kit.worker import running
from tests.support.postgres import Database


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    made = Pool(database.app_dsn, "webhooks", max_size=2)
    await made.open()
    yield made
    await made.close()


async def kill_all(database: Database) -> None:
    """End every connection of the application, as a restart of the database does."""
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'lintel'")
    await owner.close()


async def test_a_connection_that_is_cut_is_unavailable_and_the_next_one_works(database: Database, pool: Pool) -> None:
    with pytest.raises(AppError) as caught:
        async with pool.tenant(uuid4()) as connection:
            await kill_all(database)
            await connection.fetch("SELECT 1")
    assert caught.value.reason is Reason.UNAVAILABLE
    async with pool.tenant(uuid4()) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    pool = Pool("postgresql://lintel@127.0.0.1:1/none", "auth")
    await pool.open()
    for _ in range(2):
        with pytest.raises(AppError) as caught:
            await pool.ping()
        assert caught.value.reason is Reason.UNAVAILABLE
        assert caught.value.message == "The database does not answer."
    await pool.close()


async def test_a_database_that_does_not_know_us_is_no_healthy_one(database: Database) -> None:
    pool = Pool(database.app_dsn, "no_such_service")
    await pool.open()
    with pytest.raises(AppError) as caught:
        await pool.ping()
    assert caught.value.reason is Reason.UNAVAILABLE
    await pool.close()


@pytest.mark.parametrize("fault", ["statement", "idle", "deadlock"])
async def test_what_passes_by_itself_is_unavailable_and_not_a_fault_of_ours(pool: Pool, fault: str) -> None:
    """The rows of a queue are tried again after it, uncounted, and the loops stay quiet."""
    with pytest.raises(AppError) as caught:
        async with pool.tenant(uuid4()) as connection:
            if fault == "statement":
                await connection.execute("SET LOCAL statement_timeout = '10ms'; SELECT pg_sleep(10)")
            elif fault == "idle":
                await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '10ms'")
                async with asyncio.timeout(10):
                    while not connection.is_closed():  # noqa: ASYNC110 - what is waited for is in another process
                        await asyncio.sleep(0.01)
                await connection.execute("SELECT 1")
            else:
                await _deadlock(pool, connection)
    assert caught.value.reason is Reason.UNAVAILABLE


async def _deadlock(pool: Pool, connection: Connection) -> None:
    """Have two transactions wait for each other; whichever Postgres ends, the error is raised here."""
    async with pool.tenant(uuid4()) as other:
        await connection.execute("SELECT pg_advisory_xact_lock(1)")
        await other.execute("SELECT pg_advisory_xact_lock(2)")
        both = connection.execute("SELECT pg_advisory_xact_lock(2)"), other.execute("SELECT pg_advisory_xact_lock(1)")
        # Both to their end: a connection that is left in the middle of a statement can't be rolled back.
        for ended in await asyncio.gather(*both, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended


async def test_a_connection_that_its_server_has_given_up_is_unavailable_and_not_used_again(pool: Pool) -> None:
    async with pool.tenant(uuid4()) as connection:
        first = connection.get_server_pid()
    with pytest.raises(AppError) as caught:
        async with pool.tenant(uuid4()) as connection:
            # What asyncpg says between a server's last words and the end of the connection.
            raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")
    assert caught.value.reason is Reason.UNAVAILABLE
    async with pool.tenant(uuid4()) as connection:
        assert connection.get_server_pid() != first


async def test_an_argument_of_the_wrong_type_is_our_fault_and_not_the_database_s(pool: Pool) -> None:
    with pytest.raises(asyncpg.DataError):
        async with pool.tenant(uuid4()) as connection:
            await connection.fetch("SELECT $1::uuid", "no uuid")
    with pytest.raises(asyncpg.InterfaceError):
        async with pool.tenant(uuid4()) as connection:
            await connection.fetch("SELECT $1::uuid")
    with pytest.raises(FileNotFoundError):
        async with pool.tenant(uuid4()):
            raise FileNotFoundError
    await pool.ping()


async def test_a_transaction_that_fails_leaves_nothing(pool: Pool) -> None:
    organization = uuid4()
    with pytest.raises(RuntimeError):
        async with pool.tenant(organization) as connection:
            await connection.execute(
                "INSERT INTO webhooks.outbox (id, organization_id, topic, envelope) VALUES ($1, $2, 't', '')",
                uuid4(),
                organization,
            )
            raise RuntimeError
    async with pool.queue() as connection:
        assert await connection.fetchval("SELECT count(*) FROM webhooks.outbox") == 0


async def test_closing_does_not_wait_for_ever(database: Database) -> None:
    pool = Pool(database.app_dsn, "webhooks", max_size=1)
    await pool.open()
    inside = asyncio.Event()

    async def hold() -> None:
        async with pool.tenant(uuid4()) as connection:
            inside.set()
            await connection.fetch("SELECT pg_sleep(60)")

    holding = asyncio.ensure_future(hold())
    await inside.wait()
    await asyncio.wait_for(pool.close(), 10)
    with pytest.raises(AppError):
        await holding


async def test_a_listener_hears_again_after_its_connection_was_cut(database: Database, pool: Pool) -> None:
    heard: asyncio.Queue[None] = asyncio.Queue()
    loop = pool.listen({"webhooks_outbox": lambda: heard.put_nowait(None)})
    async with asyncio.timeout(20), running([loop], grace=5):
        await heard.get()  # it listens now, and looks for what it has missed
        async with pool.queue() as connection:
            await connection.execute("NOTIFY webhooks_outbox")
        await heard.get()
        await kill_all(database)
        await heard.get()  # listens again
        owner = await asyncpg.connect(database.owner_dsn)
        await owner.execute("NOTIFY webhooks_outbox")
        await owner.close()
        await heard.get()


async def test_what_was_committed_is_done_although_the_connection_breaks_on_its_way_back(
    database: Database, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reset = asyncpg.connection.Connection.reset

    async def break_first(self: Any, **options: Any) -> None:
        await kill_all(database)
        await reset(self, **options)

    monkeypatch.setattr(asyncpg.connection.Connection, "reset", break_first)
    async with pool.tenant(uuid4()) as connection:
        answer = await connection.fetchval("SELECT 7")
    monkeypatch.undo()
    assert answer == 7
    await pool.ping()
