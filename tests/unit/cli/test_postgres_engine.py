"""The embedded Postgres engine against the real binaries."""

import os
import signal
from pathlib import Path

import asyncpg
import pytest

from cli.engines import processes
from cli.engines.accounts import EngineError
from cli.engines.postgres import PostgresEngine
from cli.engines.postgres_socket import SOCKET_NAME
from tests.support.postgres import Database


async def fetch(engine: PostgresEngine, query: str) -> object:
    connection = await asyncpg.connect(engine.dsn())
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_the_database_fixture_gives_a_fresh_database(database: Database) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        assert await connection.fetchval("SELECT current_database()") == database.name
        assert (
            await connection.fetchval(
                "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = $1", database.name
            )
            == "UTF8"
        )
    finally:
        await connection.close()


async def test_it_listens_on_a_private_socket_only_and_checksums_its_pages(postgres_server: PostgresEngine) -> None:
    assert await fetch(postgres_server, "SHOW listen_addresses") == ""
    assert await fetch(postgres_server, "SHOW data_checksums") == "on"
    assert await fetch(postgres_server, "SHOW io_method") == "sync"
    assert postgres_server.socket_directory.stat().st_mode & 0o777 == 0o700


async def test_committed_rows_survive_kill_9_of_the_server(tmp_path: Path) -> None:
    engine = PostgresEngine(tmp_path / "home")
    engine.start()
    try:
        await fetch(engine, "CREATE TABLE kept AS SELECT generate_series(1, 200)")
        os.kill(engine.pid, signal.SIGKILL)
        engine.start()
        assert await fetch(engine, "SELECT count(*) FROM kept") == 200
    finally:
        engine.stop()


def test_it_starts_over_the_lock_file_of_a_stranger_or_a_zombie(tmp_path: Path) -> None:
    engine = PostgresEngine(tmp_path / "home")
    engine.start()
    engine.stop()
    zombie = os.posix_spawnp("true", ["true"], os.environ)
    assert processes.wait_gone([identity] if (identity := processes.identify(zombie)) else [], 10)
    for pid in (zombie, os.getpid()):
        (engine.data / "postmaster.pid").write_text(f"{pid}\n{engine.data}\n1\n5432\n\n\n1 1\n")
        engine.start()
        assert engine.is_ready()
        engine.stop()
    os.waitpid(zombie, 0)


async def test_an_orphaned_server_is_ended_before_a_new_one_starts(tmp_path: Path) -> None:
    first = PostgresEngine(tmp_path / "home")
    first.start()
    orphan = processes.identify(first.pid)
    assert orphan
    first.release()  # what the death of its owner leaves: a server, and no lock
    second = PostgresEngine(tmp_path / "home")
    second.start()
    try:
        assert not processes.is_running(orphan)
        assert await fetch(second, "SELECT 1") == 1
    finally:
        second.stop()
        first.stop()


def test_two_owners_of_one_directory_are_refused(tmp_path: Path) -> None:
    engine = PostgresEngine(tmp_path / "home")
    engine.start()
    try:
        with pytest.raises(EngineError, match="another process runs the Postgres"):
            PostgresEngine(tmp_path / "home").start()
        assert engine.is_ready()
    finally:
        engine.stop()


def test_a_directory_of_another_major_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("15\n")
    with pytest.raises(EngineError, match="made by Postgres 15 and this version brings 18"):
        PostgresEngine(tmp_path).start()


@pytest.mark.parametrize("content", [b"", b"\xd7\x9f\x00" * 1000, b"eighteen\n"])
def test_a_damaged_directory_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_bytes(content)
    with pytest.raises(EngineError, match=f"{tmp_path}/data is damaged"):
        PostgresEngine(tmp_path).start()


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "theirs").write_text("kept")
    with pytest.raises(EngineError, match="is not empty and no Postgres cluster"):
        PostgresEngine(tmp_path).start()
    assert (tmp_path / "data" / "theirs").read_text() == "kept"


async def test_a_half_made_directory_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "data.new" / "base").mkdir(parents=True)
    (tmp_path / "data.new" / "PG_VERSION").write_text("18\n")  # initdb writes it long before it is done
    engine = PostgresEngine(tmp_path)
    engine.start()
    try:
        assert await fetch(engine, "SELECT 1") == 1
    finally:
        engine.stop()


async def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    engine = PostgresEngine(tmp_path / ("long" * 25) / "home")
    engine.start()
    try:
        assert len(os.fsencode(engine.socket_path)) <= 107
        assert engine.socket_path == engine.socket_directory / SOCKET_NAME
        assert await fetch(engine, "SELECT 1") == 1
        private = engine.socket_directory
    finally:
        engine.stop()
    assert not private.exists()
