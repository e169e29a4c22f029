"""Each role's command with only the files the image holds: as an ordinary user, and importing only what is locked."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from services.roles import ROLES
from tests.integration.services.test_process import ready
from tests.support.mesh import CRYPTO_KEY
from tests.support.postgres import Database
from tests.unit.deploy.test_image import ROOT, copied

_PINS = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.M)
LOCKED = {name.lower().replace("_", "-") for name in _PINS}
# Hides every package that the image does not have, then loads all that runs in it.
PROGRAM = """
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)

HIDDEN = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Hidden())
import services.__main__, services.probe, services.bootstrap, migrations.__main__, deploy.envoy.__main__
import deploy.certificates
"""
# What the image runs as. That user may read our Python here wherever it lies, and is nobody else in anything it does.
ORDINARY = ("setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--no-new-privs")
READS = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """A directory with what the Dockerfile copies, which everybody may read."""
    directory = Path(tempfile.mkdtemp(prefix="lt-image-"))
    try:
        for source in copied():
            place = directory / source
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            elif source != "requirements.lock":
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
        for path in (directory, *directory.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield directory
    finally:
        shutil.rmtree(directory)


def ordinarily(*command: str) -> tuple[str, ...]:
    """Answer the command as an ordinary user runs it; whoever is not root is one already."""
    return (*ORDINARY, *READS, "--", *command) if os.geteuid() == 0 else command


def environment(image: Path, run_dir: Path, dsn: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
        "PYTHONPATH": f"{image}{os.pathsep}{image / 'protos/gen'}",
        "PYTHONSAFEPATH": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LINTEL_RUN_DIR": str(run_dir),
        "DATABASE_URL": dsn,
        "API_CRYPTO_KEY": CRYPTO_KEY,
        "API_JWT_SECRET": CRYPTO_KEY[::-1],
        "LINTEL_EDGE": "envoy",
    }


@pytest.mark.timeout(300)
async def test_every_role_starts_is_well_by_its_probe_and_ends(image: Path, database: Database) -> None:
    with tempfile.TemporaryDirectory(prefix="lt-") as directory:
        run_dir = Path(directory)
        if os.geteuid() == 0:
            os.chown(run_dir, 65532, 65532)
        variables = environment(image, run_dir, database.app_dsn)
        started = {}
        for role in ROLES:
            started[role] = await asyncio.create_subprocess_exec(
                *ordinarily(sys.executable, "-m", "services", role),
                env=variables,
                cwd=image,
                stderr=asyncio.subprocess.PIPE,
            )
        try:
            for process in started.values():
                await ready(process)
            for role in ROLES:
                await well(role, variables, image)
        finally:
            for process in started.values():
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
            ends = await asyncio.gather(*(asyncio.wait_for(p.communicate(), 40) for p in started.values()))
        assert {role: p.returncode for role, p in started.items()} == dict.fromkeys(ROLES, 0), ends
        probe = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.probe", "auth"), env=variables, cwd=image, stderr=asyncio.subprocess.PIPE
        )
        _, words = await probe.communicate()
        assert probe.returncode == 1
        assert words.startswith(b"auth: ")
        assert b"Traceback" not in words


async def well(role: str, variables: dict[str, str], image: Path) -> None:
    """Ask the probe until it is content; a role says that it serves some moments after it is ready to."""
    async with asyncio.timeout(110):
        while True:
            probe = await asyncio.create_subprocess_exec(
                *ordinarily(sys.executable, "-m", "services.probe", role),
                env=variables,
                cwd=image,
                stderr=asyncio.subprocess.PIPE,
            )
            _, words = await probe.communicate()
            if probe.returncode == 0:
                return
            assert b"Traceback" not in words, words.decode()


def test_the_other_commands_of_the_image_work(image: Path, database: Database) -> None:
    variables = environment(image, Path("/run/lintel"), database.app_dsn)
    migrate = {**variables, "LINTEL_MIGRATIONS_URL": database.owner_dsn}
    for command, given in (
        (["migrations", "run"], migrate),
        (["deploy.envoy"], variables),
        (["deploy.certificates", "--help"], variables),
        (["services", "--help"], variables),
    ):
        done = subprocess.run([sys.executable, "-m", *command], env=given, cwd=image, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"


def test_what_runs_in_the_image_needs_only_what_it_holds(image: Path) -> None:
    names = {
        top
        for top, owners in packages_distributions().items()
        if not LOCKED.intersection(owner.lower().replace("_", "-") for owner in owners)
    }
    assert {"pytest", "yaml"} <= names
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(names)],
        env=environment(image, Path("/run/lintel"), "postgresql://x/y"),
        cwd=image,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
