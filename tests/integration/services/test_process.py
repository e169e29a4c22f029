"""`python -m services ROLE...` as a process: says when it is ready, drains on SIGTERM, says why it can not start."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from services.kit.rpc.channel import open_channel
from tests.support.mesh import CRYPTO_KEY, JWT_SECRET
from tests.support.postgres import Database
from tests.support.rpc import short_directory

ROOT = Path(__file__).resolve().parents[3]
ROLES = ("auth", "orgs", "llm_gateway")


async def start(environ: Mapping[str, str], *roles: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", *roles),
        env={"PATH": os.environ.get("PATH", os.defpath), **environ},
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )


def environment(directory: Path, dsn: str) -> dict[str, str]:
    return {
        "LINTEL_RUN_DIR": str(directory),
        "DATABASE_URL": dsn,
        "API_CRYPTO_KEY": CRYPTO_KEY,
        "API_JWT_SECRET": JWT_SECRET,
    }


async def ready(process: asyncio.subprocess.Process) -> dict[str, object]:
    """Wait for the line that says so."""
    assert process.stderr is not None
    async with asyncio.timeout(120):
        async for line in process.stderr:
            event: dict[str, object] = json.loads(line)
            if event["event"] == "ready":
                return event
    raise AssertionError("it ended before it was ready")


async def test_a_process_serves_until_it_is_asked_to_stop(database: Database) -> None:
    with short_directory() as directory:
        process = await start(environment(directory, database.app_dsn), *ROLES)
        event = await ready(process)
        assert event["roles"] == list(ROLES)
        assert CRYPTO_KEY not in str(event)
        sockets = {f"{role}{kind}.sock" for role in ROLES for kind in ("", ".public")}
        assert {path.name for path in directory.iterdir()} == sockets
        async with open_channel(f"unix:{directory}/auth.sock", "tests") as channel:
            await channel.channel_ready()
        process.send_signal(signal.SIGTERM)
        _, rest = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0
        assert [json.loads(line)["event"] for line in rest.splitlines()][-1] == "stopped"
        assert list(directory.iterdir()) == []


async def test_a_second_process_does_not_take_the_sockets_of_the_first(database: Database) -> None:
    with short_directory() as directory:
        first = await start(environment(directory, database.app_dsn), "llm_gateway")
        await ready(first)
        second = await start(environment(directory, database.app_dsn), "llm_gateway")
        _, error = await second.communicate()
        assert second.returncode == 1
        assert b"another process serves this socket" in error
        assert b"Traceback" not in error
        async with open_channel(f"unix:{directory}/llm_gateway.sock", "tests") as channel:
            await channel.channel_ready()
        first.send_signal(signal.SIGTERM)
        await first.communicate()


async def test_a_process_starts_while_the_database_is_away() -> None:
    with short_directory() as directory:
        process = await start(environment(directory, "postgresql://lintel@127.0.0.1:1/none"), "orgs")
        await ready(process)
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"LINTEL_RUN_DIR": ""}, b"LINTEL_RUN_DIR: is needed and not set"),
        ({"API_CRYPTO_KEY": "0" * 64}, b"API_CRYPTO_KEY: is an example value"),
        ({"DATABASE_URL": ""}, b"DATABASE_URL (or API_PG_DB_HOST and the other parts) is needed"),
        ({"API_LOG_LEVEL": "loud"}, b"API_LOG_LEVEL: 'loud' is no log level"),
        ({"LINTEL_RUN_DIR": "/no/such/directory"}, b"/no/such/directory"),
    ],
)
async def test_a_process_that_can_not_start_says_why(changed: dict[str, str], words: bytes) -> None:
    with short_directory() as directory:
        process = await start(environment(directory, "postgresql://x/y") | changed, "auth")
        _, error = await process.communicate()
    assert process.returncode == 1
    assert words in error
    assert b"Traceback" not in error


async def test_a_role_that_is_none_is_told_with_those_there_are() -> None:
    process = await start({}, "atuh")
    _, error = await process.communicate()
    assert process.returncode == 2
    assert b"no role atuh; the roles are auth, orgs" in error
