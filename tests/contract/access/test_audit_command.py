"""`lintel audit`: what is exported verifies on its own, and whatever is done to it is found out."""

import asyncio
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.access.world import World

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Result:
    """How a command ended and what it wrote."""

    exit_code: int
    stdout: str
    stderr: str


async def run(world: World, *arguments: str, command: str = "audit") -> Result:
    """Run the command as another process."""
    environ = {
        "LINTEL_URL": world.url,
        "LINTEL_TOKEN": world.mesh.local.key,
        "LINTEL_STATE_DIR": "/nonexistent",
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos/gen'}",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", command, *arguments),
        env=environ,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Result(process.returncode, out.decode(), err.decode())


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines(keepends=True)


def write(file: Path, text: Iterable[str]) -> None:
    file.write_text("".join(text))


@pytest.fixture
async def exported(world: World, tmp_path: Path) -> Path:
    """An export of a log with some entries in it, one of them with text of all kinds."""
    for name in ('Ünï "quoted" \\ name', "Plain", "Zwölf"):
        await world.rest.patch("/organization", json={"name": name}, headers=world.as_local)
    file = tmp_path / "audit.jsonl"
    result = await run(world, "export", "--output", str(file))
    assert result.exit_code == 0, result.stderr
    return file


async def test_an_export_and_the_log_itself_are_whole(world: World, exported: Path) -> None:
    last = json.loads(lines(exported)[-1])
    head = f"{last['sequence']}:{last['sha256']}"
    for arguments in ((str(exported),), (), ("--head", head), (str(exported), "--head", head)):
        result = await run(world, "verify", *arguments)
        assert (result.exit_code, result.stdout.strip()) == (0, head), result.stderr
    rest = (await world.rest.get("/audit-log?pageSize=1", headers=world.as_local)).json()["entries"]
    assert rest == [last]


async def test_an_export_goes_on_where_the_last_ended(world: World, exported: Path) -> None:
    count = len(lines(exported))
    result = await run(world, "export", "--after", str(count - 1))
    assert [json.loads(line)["sequence"] for line in result.stdout.splitlines()] == [count]
    part = exported.with_name("part.jsonl")
    write(part, result.stdout)
    result = await run(world, "verify", str(part))
    assert (result.exit_code, f"before entry {count} not looked at" in result.stderr) == (0, True)


def changed(entry: dict[str, Any]) -> None:
    entry["changes"] = []


def renumbered(entry: dict[str, Any]) -> None:
    entry["sequence"] += 7


def another_actor(entry: dict[str, Any]) -> None:
    entry["actor"]["id"] = "somebody else"


@pytest.mark.parametrize("tamper", [changed, renumbered, another_actor])
async def test_a_changed_entry_is_found(world: World, exported: Path, tamper: Any) -> None:
    entries = [json.loads(line) for line in lines(exported)]
    tamper(entries[-2])
    write(exported, [json.dumps(entry) + "\n" for entry in entries])
    result = await run(world, "verify", str(exported))
    assert result.exit_code == 1
    assert "the audit log is broken: entry" in result.stderr


async def test_a_missing_entry_is_found_and_so_is_a_missing_end(world: World, exported: Path) -> None:
    whole = lines(exported)
    last = json.loads(whole[-1])
    write(exported, whole[:-2] + whole[-1:])
    assert "are missing" in (await run(world, "verify", str(exported))).stderr
    write(exported, whole[:-1])
    assert (await run(world, "verify", str(exported))).exit_code == 0  # it can't know; who noted the head does
    result = await run(world, "verify", str(exported), "--head", f"{last['sequence']}:{last['sha256']}")
    assert (result.exit_code, f"there was an entry {last['sequence']}" in result.stderr) == (1, True)


async def test_what_somebody_does_past_the_grants_is_found(world: World, exported: Path) -> None:
    organization = world.own.organization_id
    row = await world.db.fetchrow(
        "SELECT * FROM orgs.audit_log WHERE organization_id = $1 ORDER BY sequence DESC LIMIT 1 OFFSET 1", organization
    )
    assert row is not None
    update = "UPDATE orgs.audit_log SET actor_id = $3 WHERE organization_id = $1 AND sequence = $2"
    await world.db.execute(update, organization, row["sequence"], "nobody")
    try:
        broken = (await world.rest.get("/audit-log/verify", headers=world.as_local)).json()
        assert (broken["ok"], broken["brokenSequence"]) == (False, row["sequence"])
        assert "was changed" in broken["problem"]
        result = await run(world, "verify")
        assert (result.exit_code, f"entry {row['sequence']}: was changed" in result.stderr) == (1, True)
    finally:
        await world.db.execute(update, organization, row["sequence"], row["actor_id"])
    assert (await run(world, "verify")).exit_code == 0


async def test_what_is_no_export_is_said_so(world: World, tmp_path: Path) -> None:
    file = tmp_path / "x"
    write(file, "hello\n")
    assert "line 1 is no JSON" in (await run(world, "verify", str(file))).stderr
    write(file, "[]\n")
    assert "is no entry of an audit log" in (await run(world, "verify", str(file))).stderr
    result = await run(world, "verify", "--head", "7")
    assert (result.exit_code, "NUMBER:SHA256" in result.stderr) == (2, True)
