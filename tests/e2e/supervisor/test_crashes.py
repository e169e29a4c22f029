"""`kill -9` of any one process, and of all of them at once: the system comes back with its data."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from cli.embedded import Embedded
from cli.engines import processes
from cli.engines.postgres_socket import SOCKET_NAME, probe
from cli.engines.processes import Identity
from cli.supervisor.status import ChildStatus
from cli.supervisor.system import answers
from tests.e2e.supervisor.helpers import CommandLine, wait_until

ROWS = 500


async def write_rows(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE TABLE public.kept AS SELECT generate_series(1, {ROWS}) AS n")
    finally:
        await connection.close()


async def count_rows(dsn: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval("SELECT count(*) FROM public.kept")
    finally:
        await connection.close()


@pytest.fixture(scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedded]:
    with Embedded(tmp_path_factory.mktemp("crashes")) as started:
        assert started.status.postgres_dsn
        await write_rows(started.status.postgres_dsn)
        yield started


def child_of(system: Embedded, name: str) -> ChildStatus:
    return next(child for child in system.status.children if child.name == name)


def serves(system: Embedded) -> bool:
    return answers(("127.0.0.1", system.status.ports["edge"]))


@pytest.mark.parametrize("name", ["postgres", "application", "envoy"])
async def test_a_killed_child_is_restarted_and_nothing_is_lost(system: Embedded, name: str) -> None:
    before = child_of(system, name)
    identity = before.identity()
    assert identity
    os.kill(identity.pid, signal.SIGKILL)

    def is_back() -> bool:
        now = child_of(system, name)
        return now.restarts == before.restarts + 1 and now.state == "running" and serves(system)

    wait_until(is_back, f"{name} is back")
    assert child_of(system, name).last_exit == "killed by SIGKILL"
    dsn = system.status.postgres_dsn
    assert dsn
    wait_until(lambda: probe(Path(dsn.partition("?host=")[2]) / SOCKET_NAME), "the database accepts sessions")
    assert await count_rows(dsn) == ROWS


@pytest.mark.parametrize("victims", ["supervisor", "everything"])
async def test_up_right_after_a_kill_ends_what_is_left_and_keeps_the_data(tmp_path: Path, victims: str) -> None:
    command_line = CommandLine(tmp_path / "state", tmp_path)
    try:
        assert command_line.up().returncode == 0
        dsn = command_line.status.postgres_dsn
        assert dsn
        await write_rows(dsn)
        everything = command_line.everything()
        assert len(everything) > 6
        kill(everything if victims == "everything" else [command_line.status.identity])
        again = command_line.up()
        assert again.returncode == 0, again.stderr
        assert not [identity for identity in everything if processes.is_running(identity)]
        assert command_line.serves()
        dsn = command_line.status.postgres_dsn
        assert dsn
        assert await count_rows(dsn) == ROWS
    finally:
        command_line.run("down")


def kill(victims: list[Identity]) -> None:
    for victim in victims:
        processes.send(victim, signal.SIGKILL)
