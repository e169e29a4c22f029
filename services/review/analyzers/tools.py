"""The programs of others that analyzers run: where they are, and how one is run without taking all the room."""

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PROGRAMS = ("ruff", "shellcheck", "zizmor", "hadolint")  # all that the walls let the child start
_MAX_OUTPUT = 32 * 1024 * 1024
_MEMORY = 768 * 1024 * 1024  # bytes of address space: a greedy program fails alone, not the analysis with it
_HASKELL_HEAP = 251  # the status of shellcheck and hadolint where memory does not suffice


class ToolError(Exception):
    """The program did not answer; the text is for the receipt."""


def installed(name: str) -> Path | None:
    """The program that was installed beside this interpreter, None where there is none."""
    path = Path(sys.executable).parent / name
    return path if path.is_file() else None


def ask(
    name: str, program: Path, arguments: Sequence[str], folder: Path, seconds: float, statuses: Sequence[int] = (0,)
) -> Any:
    """Run `program` in `folder` and return the JSON of its stdout, None for silence; raises ToolError.

    It gets no configuration of anyone: its environment is a locale, its home does not exist. `statuses` are those with
    which it ends when all went well.
    """
    output = folder / f"{name}.json"
    try:
        done = _run(program, arguments, folder, output, seconds)
        if done.returncode == -signal.SIGABRT:  # a Haskell program that did not get its address space at once
            done = _run(program, arguments, folder, output, seconds)
        if done.returncode == _HASKELL_HEAP:
            raise ToolError(f"{name} ran out of memory")
        if done.returncode not in statuses:
            raise ToolError(f"{name} failed with status {done.returncode}")
        if output.stat().st_size > _MAX_OUTPUT:
            raise ToolError(f"{name} answered too much")
        answer = output.read_bytes()
        return json.loads(answer) if answer.strip() else None
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{name} ran out of time") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ToolError(f"{name} could not be run: {type(error).__name__}") from error


def _run(
    program: Path, arguments: Sequence[str], folder: Path, output: Path, seconds: float
) -> subprocess.CompletedProcess[bytes]:
    with output.open("wb") as target:
        return subprocess.run(
            [str(program), *arguments],
            cwd=folder,
            env={"LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "RAYON_NUM_THREADS": "2"},
            stdin=subprocess.DEVNULL,
            stdout=target,
            stderr=subprocess.DEVNULL,
            timeout=max(0.1, seconds),
            check=False,
            preexec_fn=_less_room(_MEMORY),
        )


def _less_room(memory: int) -> Callable[[], None]:
    def limit() -> None:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        value = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (value, value))

    return limit
