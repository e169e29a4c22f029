"""What a killed worker leaves on the disk: copies of the files it was reading, which the next one removes."""

# ruff: noqa: ASYNC240

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cli.layout import ROOT
from services.review.analyzers.limits import Limits
from services.review.analyzers.process import ChildProcess, remove_left_behind
from tests.integration.analysis_child.conftest import PROGRAMS

_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from services.review.analyzers.limits import Limits
from services.review.analyzers.process import ChildProcess

async def main():
    await ChildProcess.start(Path(sys.argv[1]), Limits(), strict=False)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_living_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}"}
    command = [sys.executable, "-c", _KILLED, str(PROGRAMS / "attacker.py")]
    await asyncio.to_thread(subprocess.run, command, env=environment, cwd=ROOT)
    (left,) = tmp_path.iterdir()
    living = await ChildProcess.start(PROGRAMS / "attacker.py", Limits(), strict=False)
    assert remove_left_behind() == 0  # both are young
    assert remove_left_behind(young=0) == 1
    assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 1
    await living.close()
    assert list(tmp_path.iterdir()) == []
