"""Roles of the system as processes of their own, which can be killed, paused and started again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.engines.spawn import Command, spawn
from cli.layout import ROOT

SERVED = ("auth", "orgs", "llm_gateway", "webhooks", "review")  # what workers and the edge call
_SOCKETS = [f"{role}{kind}.sock" for role in SERVED for kind in ("", ".public")]
_READY = b'"event": "ready"', b'"event":"ready"'


class RoleProcess:
    """`python -m services ROLE…`, in a directory of sockets of its own with links to those of `mesh`.

    `module` is what is run instead of `services`, by a suite that shows that it would notice.
    """

    def __init__(
        self, name: str, roles: Sequence[str], mesh: Path, logs: Path, environment: Mapping[str, str], module: str
    ) -> None:
        self.name = name
        self.starts = 0
        self._log = logs / f"{name}.log"
        self._roles = tuple(roles)
        self._module = module
        run_dir = mesh
        if not set(roles) & set(SERVED):
            run_dir = mesh.parent / name
            run_dir.mkdir(mode=0o700, exist_ok=True)
            for socket in _SOCKETS:
                link = run_dir / socket
                if not link.is_symlink():
                    link.symlink_to(mesh / socket)
        self.run_dir = run_dir
        paths = os.pathsep.join([str(ROOT), str(ROOT / "protos" / "gen")])
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": paths,
            "LINTEL_RUN_DIR": str(run_dir),
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "start comes first"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; to be called from the main thread, whose end it does not outlive."""
        assert not self.running
        self.starts += 1
        argv = [sys.executable, "-m", self._module, *self._roles]
        command = Command(argv, env=self._environment, death_signal=signal.SIGKILL, cwd=ROOT)
        self._offset = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = spawn(command, log)

    async def ready(self, seconds: float = 60) -> None:
        """Wait until it says that all its roles serve; raises AssertionError with its last words if it ends first."""
        async with asyncio.timeout(seconds):
            while True:
                said = self._log.read_bytes()[self._offset :]
                if any(word in said for word in _READY):
                    return
                assert self.running, f"{self.name} ended:\n{said[-3000:].decode(errors='replace')}"
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """Kill it and all that it started; it is gone when this returns."""
        if self._process is not None:
            if self._process.poll() is None:
                os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def strike(self) -> None:
        """Kill it without waiting for its end, so that nothing more of it is seen."""
        os.kill(self.pid, signal.SIGKILL)

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        if self.running:
            os.kill(self.pid, signal.SIGCONT)

    def stop(self, seconds: float = 15) -> None:
        """Ask it to end, and kill it if it does not."""
        if self.running and self._process is not None:
            self.resume()
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
