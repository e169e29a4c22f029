"""The emulator as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import httpx2
import pytest

from tests.contract.emulators.github.support import History

ROOT = Path(__file__).parents[4]


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "emulators",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_says_where_it_listens_and_stops_on_a_signal(history: History) -> None:
    path = str(history.repository.path)
    process = await start("github", "--repo", path, "--base", history.base, "--head", "topic", "--token", "t")
    assert process.stdout is not None
    facts = json.loads(await process.stdout.readline())
    assert (facts["number"], facts["base"], facts["owner"], facts["name"]) == (1, history.base, "local", "repository")
    headers = {"Authorization": "Bearer t"}
    async with httpx2.AsyncClient(base_url=facts["url"], headers=headers, trust_env=False, verify=False) as client:
        pull = (await client.get("/repos/local/repository/pulls/1")).json()
    assert pull["head"]["sha"] == facts["head"]
    process.send_signal(signal.SIGTERM)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "usage: python -m emulators NAME"),
        (["nowhere"], "there is no emulator 'nowhere'"),
        (["github"], "--repo"),
        (["github", "--repo", "{repo}"], "a token is needed"),
        (["github", "--repo", "/", "--token", "t"], "not a git repository"),
        (["github", "--repo", "{repo}", "--token", "t", "--base", "nope"], "'nope' names no commit"),
        (["github", "--repo", "{repo}", "--token", "t", "--host", "0.0.0.0"], "loopback only"),
        (["github", "--repo", "{repo}", "--token", "t", "--port", "99999"], "can't start"),
    ],
)
async def test_bad_arguments_get_a_reason(history: History, arguments: list[str], complaint: str) -> None:
    process = await start(*(argument.format(repo=history.repository.path) for argument in arguments))
    out, err = await process.communicate()
    assert process.returncode == 2
    assert complaint in err.decode()
    assert b"Traceback" not in err + out


async def test_help_teaches() -> None:
    for arguments in (["--help"], ["github", "--help"]):
        process = await start(*arguments)
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert b"python -m emulators" in out
