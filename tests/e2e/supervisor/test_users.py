"""The embedded system as an ordinary user, when the tests themselves run as root."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.layout import ROOT
from tests.e2e.supervisor.helpers import CommandLine

NOBODY = pwd.getpwnam("nobody").pw_uid


def python_for_nobody() -> str | None:
    """Find an interpreter of our version that the user may run; ours may lie in root's home."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        try:
            done = subprocess.run([candidate, "-c", ""], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    return None


def environment_for(python: Path, place: Path) -> Path:
    """Make a virtual environment of that interpreter with the packages of ours, and return its Python."""
    packages = place / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.parent.mkdir(parents=True)
    packages.symlink_to(sysconfig.get_path("purelib"))
    (place / "bin").mkdir()
    (place / "bin" / "python").symlink_to(python)
    (place / "pyvenv.cfg").write_text(f"home = {python.parent}\ninclude-system-site-packages = false\n")
    return place / "bin" / "python"


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory of that user's own that it can walk to (pytest's are closed to everybody else)."""
    made = Path(tempfile.mkdtemp(prefix="lintel-user-"))
    os.chown(made, NOBODY, NOBODY)
    yield made
    shutil.rmtree(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="run as an ordinary user, every other test shows this")
def test_an_ordinary_user_can_run_everything(open_directory: Path) -> None:
    python = python_for_nobody()
    if python is None or any(not parent.stat().st_mode & 0o001 for parent in [ROOT, *ROOT.parents]):
        pytest.skip("needs a Python of this version and a clone that the user `nobody` may enter")
    ours = environment_for(Path(python), open_directory / "environment")
    command_line = CommandLine(open_directory / "state", open_directory, python=str(ours), user=NOBODY)
    try:
        done = command_line.up()
        assert done.returncode == 0, done.stderr
        assert command_line.serves()
        status = Path(f"/proc/{command_line.child('postgres').pid}").stat()
        assert status.st_uid == NOBODY
        assert command_line.layout.state.stat().st_mode & 0o777 == 0o700
        assert command_line.run("status").returncode == 0
    finally:
        command_line.run("down")
