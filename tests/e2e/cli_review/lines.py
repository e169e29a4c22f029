"""`lintel review` as a person runs it, in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.layout import ROOT

# Three things that analyzers without a key see.
CALCULATOR = "import subprocess\n\n\ndef run(name):\n    return subprocess.run('ls ' + name, shell=True)\n"


def environment(home: Path, added: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos' / 'gen'}",
        "PYTHONSAFEPATH": "1",
        "HOME": str(home),
        "TMPDIR": str(home),
        **added,
    }


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "cli", "review", *words]


def review(
    place: Path, env: Mapping[str, str], *words: str, given: bytes = b"", seconds: float = 100
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(command(*words), cwd=place, env=env, input=given, capture_output=True, timeout=seconds)


def report(done: "subprocess.CompletedProcess[bytes]") -> dict[str, Any]:
    assert done.returncode in (0, 1), done.stderr.decode(errors="replace")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
