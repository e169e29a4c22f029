"""`python -m services.doctor`: each thing is broken in turn, and the answer says what is wrong and what to do."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.engines.mongodb import MongoDbEngine
from emulators.models import Said
from emulators.openai import OpenAIEmulator
from services.bootstrap import bootstrap
from tests.support.mesh import CRYPTO_KEY
from tests.support.postgres import Database

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "ghp_" + "Zz9Yy8Xx7Ww6" * 3
PASSWORD = "hunter2hunter2"


async def examine(environ: Mapping[str, str]) -> tuple[int, dict[str, dict[str, str]], str]:
    """Answer status, findings by name, and everything that was printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.doctor"),
        env={"PATH": os.environ.get("PATH", os.defpath), **environ},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert b"Traceback" not in err, err.decode()
    found = [json.loads(line) for line in out.splitlines()]
    return process.returncode or 0, {each["name"]: each for each in found}, (out + err).decode()


def well(database: Database, **more: str) -> dict[str, str]:
    return {
        "LINTEL_RUN_DIR": "/tmp",
        "DATABASE_URL": database.app_dsn,
        "API_CRYPTO_KEY": CRYPTO_KEY,
        "API_JWT_SECRET": CRYPTO_KEY[::-1],
        "LINTEL_ALLOW_LOOPBACK_MODELS": "true",
        **more,
    }


def nobody() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@asynccontextmanager
async def answering(text: bytes) -> AsyncIterator[int]:
    """A server that answers everything with the same bytes, or (empty) with silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if text:
            writer.write(text)
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def page(status: str, kind: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


async def test_a_well_system_is_ok_in_everything(database: Database, mongodb_engine: MongoDbEngine) -> None:
    await bootstrap(database.app_dsn)
    async with OpenAIEmulator(lambda asked: Said("{}")) as model:
        given = well(
            database,
            MONGODB_URI=mongodb_engine.uri,
            API_OPENAI_FORCE_BASE_URL=model.url,
            API_OPEN_AI_API_KEY="emulated-key",
        )
        status, found, _ = await examine(given)
    assert [each for each in found.values() if each["state"] != "ok"] == []
    assert set(found) == {"settings", "postgres", "rabbitmq", "mongodb", "model", "github", "gitlab"}
    assert status == 0
    assert "answered in" in found["model"]["detail"]


def broken(database: Database) -> dict[str, tuple[dict[str, str], str, str]]:
    """What is broken: the settings, the finding that must fail, and words of it."""
    dead = nobody()
    return {
        "database down": ({"DATABASE_URL": f"postgresql://u:{PASSWORD}@127.0.0.1:{dead}/x"}, "postgres", "listens"),
        "no such database": ({"DATABASE_URL": database.app_dsn.replace(database.name, "no_such")}, "postgres", "exist"),
        "no schema": ({"DATABASE_URL": database.app_dsn.replace(database.name, "postgres")}, "postgres", "schema"),
        "broker down": ({"API_RABBITMQ_URI": f"amqp://u:{PASSWORD}@127.0.0.1:{dead}/"}, "rabbitmq", "listens"),
        "documents down": (
            {"MONGODB_URI": f"mongodb://u:{PASSWORD}@127.0.0.1:{dead}/?serverSelectionTimeoutMS=500"},
            "mongodb",
            "does not answer",
        ),
        "model down": ({"API_OPENAI_FORCE_BASE_URL": f"http://127.0.0.1:{dead}/v1"}, "model", "reached"),
        "host down": (
            {"GITHUB_TOKEN": TOKEN, "LINTEL_GITHUB_API_URL": f"http://127.0.0.1:{dead}"},
            "github",
            "reached",
        ),
        "other host down": (
            {"GITLAB_TOKEN": TOKEN, "LINTEL_GITLAB_API_URL": f"http://127.0.0.1:{dead}"},
            "gitlab",
            "reached",
        ),
        "weak secret": ({"API_CRYPTO_KEY": "0" * 64}, "API_CRYPTO_KEY", "example"),
        "bad number": ({"API_PG_DB_POOL_MAX": "many"}, "API_PG_DB_POOL_MAX", "integer"),
    }


BROKEN = (
    *("database down", "no such database", "no schema", "broker down", "documents down"),
    *("model down", "host down", "other host down", "weak secret", "bad number"),
)


@pytest.mark.parametrize("what", BROKEN)
async def test_what_is_broken_is_told_with_what_to_do(database: Database, what: str) -> None:
    changed, name, words = broken(database)[what]
    status, found, printed = await examine(well(database) | changed)
    assert status == 1
    assert found[name]["state"] == "fail"
    assert words in found[name]["detail"]
    assert found[name]["mend"]
    assert PASSWORD not in printed
    assert TOKEN not in printed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            page("401 Unauthorized", "application/json", '{"error":{"message":"Incorrect API key"}}'),
            "Incorrect API key",
        ),
        (page("404 Not Found", "application/json", '{"error":{"message":"no such path"}}'), "no such path"),
        (page("200 OK", "text/html", "<html>Sign in to the network</html>"), ""),
    ],
    ids=["wrong key", "missing /v1", "not OpenAI-shaped"],
)
async def test_a_model_that_answers_wrongly(database: Database, answer: bytes, words: str) -> None:
    async with answering(answer) as port:
        given = {"API_OPENAI_FORCE_BASE_URL": f"http://127.0.0.1:{port}", "API_LLM_PROVIDER_MODEL": "m"}
        status, found, _ = await examine(well(database) | given)
    assert status == 1
    assert found["model"]["state"] == "fail"
    assert words in found["model"]["detail"]
    assert found["model"]["mend"]


async def test_variables_that_nobody_reads_or_needs(database: Database) -> None:
    given: dict[str, Any] = {"API_CRYPTO_KYE": "x", "API_CLOUD_MODE": "false"}
    status, found, _ = await examine(well(database) | given)
    assert found["API_CRYPTO_KYE"] == {
        "name": "API_CRYPTO_KYE",
        "state": "warn",
        "detail": "nothing reads this variable",
        "mend": "Is API_CRYPTO_KEY meant?",
    }
    assert found["API_CLOUD_MODE"]["state"] == "ok"
    assert "one edition" in found["API_CLOUD_MODE"]["detail"]
    assert status == 0
