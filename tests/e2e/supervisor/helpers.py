"""The command line as a person runs it, and waiting for conditions."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cli.engines import processes
from cli.layout import ROOT, Layout
from cli.supervisor import status as statuses
from cli.supervisor.ports import find_free
from cli.supervisor.status import ChildStatus, Status
from cli.supervisor.system import answers

_clock = threading.Event()


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 40.0) -> None:
    """Return when the condition holds; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        _clock.wait(0.02)


class CommandLine:
    """Runs `lintel` commands against one state directory, on ports of its own."""

    def __init__(
        self,
        state: Path,
        working_directory: Path,
        env: Mapping[str, str] | None = None,
        python: str = sys.executable,
        user: int | None = None,
    ) -> None:
        self.layout = Layout(state)
        self.port = find_free(set())
        self.webhooks_port = find_free({self.port})
        self._working_directory = working_directory
        self._python = python
        self._user = user
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos' / 'gen'}",
            "PYTHONSAFEPATH": "1",
            "HOME": str(working_directory),
            "LINTEL_STATE_DIR": str(state),
            **(env or {}),
        }

    def run(self, *arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._python, "-m", "cli", *arguments],
            env=self._environment,
            cwd=self._working_directory,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            input=typed,
            capture_output=True,
            text=True,
            timeout=100,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command and leave it running, its output aside."""
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            env=self._environment,
            cwd=self._working_directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def is_ready(self) -> bool:
        found = statuses.read(self.layout)
        return found is not None and found.alive and found.phase == "ready"

    def up(self, *more: str) -> subprocess.CompletedProcess[str]:
        ports = ["--port", str(self.port), "--webhooks-port", str(self.webhooks_port)]
        return self.run("up", "--detach", *ports, *more)

    @property
    def status(self) -> Status:
        found = statuses.read(self.layout)
        assert found is not None
        return found

    def child(self, name: str) -> ChildStatus:
        return next(child for child in self.status.children if child.name == name)

    def serves(self) -> bool:
        return answers(("127.0.0.1", self.port))

    def everything(self) -> list[processes.Identity]:
        """Every process of the system: the supervisor and all its descendants."""
        family = [processes.identify(pid) for pid in processes.family(self.status.pid)]
        return [identity for identity in family if identity]
