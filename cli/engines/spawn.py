"""Starting an engine as a foreground child in an OS session of its own that ends when its parent does."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

TRAMPOLINE = Path(__file__).with_name("trampoline.py")


@dataclass(frozen=True)
class Account:
    """A user and group id an engine runs under."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Command:
    """What to run and how: `stop_signal` asks it to end in order, `death_signal` reaches it when its parent dies."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    pass_fds: Sequence[int] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGTERM
    cwd: Path = Path("/")


def spawn(
    command: Command, output: int | IO[bytes], errors: int | IO[bytes] = subprocess.STDOUT
) -> subprocess.Popen[bytes]:
    """Start the command with stdout going to `output` and stderr to `errors`, the same place unless told.

    The child is bound to the calling *thread* on Linux, so call this from one that lives as long as the engine shall.
    """
    account = command.account
    wrapper = [sys.executable, "-I", "-S", str(TRAMPOLINE), str(os.getpid()), str(int(command.death_signal))]
    wrapper += [str(account.uid), str(account.gid)] if account else ["-1", "-1"]
    return subprocess.Popen(
        [*wrapper, *command.argv],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        env=dict(command.env),
        cwd=command.cwd,
        pass_fds=tuple(command.pass_fds),
        start_new_session=True,
    )


def run(command: Command) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end and return its status with stdout and stderr together in `stdout`."""
    process = spawn(command, subprocess.PIPE)
    output, _ = process.communicate()
    return subprocess.CompletedProcess(list(command.argv), process.returncode, output)
