"""Hostile code in the child tries to get out; on this kernel every way must be shut."""

# ruff: noqa: ASYNC240
import asyncio
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.review.analyzers import landlock
from services.review.analyzers.runner import ISOLATION
from services.review.domain import Analysis, Fate
from tests.integration.analysis_child.conftest import Attack

needs_landlock = pytest.mark.skipif(landlock.abi_version() < 6, reason="this kernel's Landlock is missing or too old")


def told(analysis: Analysis) -> str:
    reports = {report.name: report for report in analysis.analyzers}
    assert reports["second"].fate is Fate.RAN, reports
    return reports["attacker"].reason or ""


@pytest.mark.parametrize("name", ["tcp", "udp"])
async def test_no_internet_socket_even_to_a_listener_that_is_there(attack: Attack, name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert told(await attack(name, listener.getsockname()[1])) == "refused: PermissionError"


async def test_no_unix_socket(attack: Attack, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s"))
        (tmp_path / "s").chmod(0o777)
        listener.listen()
        assert told(await attack("unix", tmp_path / "s")) == "refused: PermissionError"


@pytest.mark.parametrize(
    "name", ["netlink", "socketpair", "group", "root", "mount_namespace", "clone_namespace", "raise_limits"]
)
async def test_what_the_filter_denies_whoever_runs_the_child(attack: Attack, name: str) -> None:
    assert told(await attack(name)) in ("refused: PermissionError", "refused: ValueError")


@needs_landlock
@pytest.mark.parametrize("name", ["environ", "memory", "signal", "limits"])
async def test_the_parent_is_out_of_reach(attack: Attack, name: str) -> None:
    signalled: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: signalled.append(number))
    try:
        assert told(await attack(name, os.getpid())) == "refused: PermissionError"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert signalled == []


@needs_landlock
@pytest.mark.parametrize("name", ["read", "write", "remove", "rename", "hard_link"])
async def test_a_file_outside_that_anyone_may_open(attack: Attack, victim: Path, name: str) -> None:
    assert told(await attack(name, victim)).startswith("refused: ")
    assert victim.read_text() == "the secret"


@needs_landlock
@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/environ", "/proc/self/maps", "/sys/kernel/ostype"])
async def test_no_file_of_the_system(attack: Attack, path: str) -> None:
    assert told(await attack("read", path)).startswith("refused: ")


@needs_landlock
async def test_no_link_and_no_list_of_what_is_outside(attack: Attack, victim: Path) -> None:
    assert told(await attack("symlink", victim)) == "refused: PermissionError"
    assert told(await attack("list", victim.parent)) == "refused: PermissionError"
    # The checkout's own folder may hold an .env.
    assert told(await attack("list", Path(__file__).parents[3])) == "refused: PermissionError"


@needs_landlock
@pytest.mark.parametrize("name", ["run_dropped", "run_shell", "run_python"])
async def test_nothing_runs_but_the_tools(attack: Attack, name: str) -> None:
    assert told(await attack(name, 1)) == "refused: PermissionError"


async def test_the_tools_do_run(attack: Attack) -> None:
    assert told(await attack("tool")) == "got through: 0"


async def test_a_second_calling_convention_ends_the_child(attack: Attack) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("x32 exists on x86_64 alone")
    reports = {report.name: report for report in (await attack("foreign_abi")).analyzers}
    assert reports["attacker"].reason == "the analysis child was ended by SIGSYS"


async def test_limits_on_processes_threads_and_open_files(attack: Attack) -> None:
    assert told(await attack("fork_bomb")).startswith("got through: BlockingIOError after ")
    assert told(await attack("threads")).startswith("got through: limited after ")
    assert told(await attack("open_files")) == "refused: OSError"
    assert told(await attack("big_file")) == "refused: OSError"


async def test_it_has_pipes_only_no_environment_and_a_session_of_its_own(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_JWT_SECRET", "never to be seen")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as inherited:
        inherited.set_inheritable(True)
        descriptors = told(await attack("descriptors")).removeprefix("got through: ").split()
    assert [entry for entry in descriptors if not entry.endswith((":pipe", ":device"))] == []
    user, environment, session = told(await attack("user")).removeprefix("got through: ").split(maxsplit=2)
    assert (environment, session) == ("set()", "True")
    assert user != "0"


async def test_the_receipt_says_which_walls_held(attack: Attack) -> None:
    isolation = (await attack("user")).analyzers[0]
    assert isolation.name == ISOLATION
    assert "seccomp" in isolation.version
    if landlock.abi_version() >= 6:
        assert f"landlock {landlock.abi_version()}" in isolation.version
        assert (isolation.fate, isolation.reason) == (Fate.RAN, None)


@pytest.mark.parametrize("name", ["tcp", "unix", "socketpair", "signal", "group", "root", "limits"])
async def test_without_landlock_the_filter_holds_and_the_receipt_says_what_does_not(attack: Attack, name: str) -> None:
    analysis = await attack(name, os.getpid(), program="old_kernel.py")
    assert told(analysis) == "refused: PermissionError"
    isolation = analysis.analyzers[0]
    assert (isolation.fate, "landlock" in isolation.version) == (Fate.PARTIAL, False)
    assert "files outside are not walled off: the kernel has no Landlock" in (isolation.reason or "")


@pytest.mark.parametrize("name", ["user", "locked_folder", "orphan"])
async def test_nothing_is_left_behind(
    attack: Attack, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tmp_path.chmod(0o777)
    before = _processes_in(tmp_path)
    assert told(await attack(name)).startswith("got through")
    assert list(tmp_path.iterdir()) == []
    gone = await asyncio.to_thread(_wait_until, lambda: not _processes_in(tmp_path) - before)
    assert gone


def _wait_until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            return False
    return True


def _processes_in(folder: Path) -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder) in str((entry / "cwd").readlink()):
                found.add(entry.name)
        except OSError:
            continue
    return found
