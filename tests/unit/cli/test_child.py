"""A supervised child: output, exit, back-off, stopping by its ladder, and sweeping what it leaves."""

import itertools
import os
import selectors
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.engines import processes
from cli.engines.processes import Identity
from cli.engines.spawn import Command
from cli.supervisor.child import BACKOFF_LAST, Child, Ladder, end_leftovers
from cli.supervisor.logfile import RotatingLog

GENTLE: Ladder = [(signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)]


class Bench:
    """Makes children around one selector, as the supervisor does."""

    def __init__(self, directory: Path) -> None:
        self.selector = selectors.DefaultSelector()
        self.log = RotatingLog(directory / "child.log")
        self.children: list[Child] = []

    def child(self, script: str, ladder: Ladder = GENTLE, *, keep_output: bool = False) -> Child:
        command = Command([sys.executable, "-S", "-c", script])
        made = Child("child", lambda: command, self.log, self.selector, ladder, keep_output=keep_output)
        self.children.append(made)
        return made

    def tick(self, timeout: float) -> None:
        for key, _ in self.selector.select(timeout):
            key.data(key.fileobj)

    def until_logged(self, text: str) -> None:
        deadline = time.monotonic() + 20
        while text not in self.text():
            assert time.monotonic() < deadline, f"{text!r} is not in {self.text()!r}"
            self.tick(0.02)

    def until_ended(self, child: Child) -> str:
        deadline = time.monotonic() + 20
        while (ended := child.reap()) is None:
            assert time.monotonic() < deadline
            self.tick(0.02)
        self.tick(0)
        return ended

    def text(self) -> str:
        return self.log.path.read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for child in made.children:
        child.stop(made.tick)
    while made.selector.get_map():
        made.tick(0.02)
    made.selector.close()
    made.log.close()


def test_output_goes_to_the_log_and_the_exit_is_told(bench: Bench) -> None:
    child = bench.child("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    child.start()
    assert bench.until_ended(child) == "exit status 3"
    bench.until_logged("out")
    bench.until_logged("err")
    assert child.reap() is None
    assert not child.running


def test_kept_output_never_reaches_the_log(bench: Bench) -> None:
    child = bench.child("import sys; print('secret'); print('said', file=sys.stderr)", keep_output=True)
    child.start()
    assert bench.until_ended(child) == "exit status 0"
    bench.until_logged("said")
    assert child.output() == b"secret\n"
    assert "secret" not in bench.text()


def test_back_off_doubles_to_a_bound(bench: Bench) -> None:
    child = bench.child("")
    delays = [child.schedule_restart() for _ in range(12)]
    assert delays[0] == 0.1
    assert all(second == min(first * 2, BACKOFF_LAST) for first, second in itertools.pairwise(delays))
    assert delays[-1] == BACKOFF_LAST
    assert child.status.restarts == 12


def test_a_child_that_ignores_its_signal_is_killed(bench: Bench) -> None:
    child = bench.child(
        "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); signal.pause()",
        [(signal.SIGTERM, 0.2), (signal.SIGKILL, 10.0)],
    )
    child.start()
    bench.until_logged("deaf")
    child.stop(bench.tick)
    assert child.status.last_exit == "killed by SIGKILL"


def test_what_a_dead_child_leaves_in_its_session_is_ended(bench: Bench) -> None:
    child = bench.child(
        "import os, signal\nif os.fork() == 0:\n print('left', os.getpid(), flush=True); signal.pause()\nsignal.pause()"
    )
    child.start()
    bench.until_logged("left ")
    left = processes.identify(int(bench.text().split()[1]))
    assert left
    assert child.status.pid
    os.kill(child.status.pid, signal.SIGKILL)
    assert bench.until_ended(child) == "killed by SIGKILL"
    assert processes.wait_gone([left], 10)


def test_leftovers_are_ended_by_identity_only(bench: Bench) -> None:
    child = bench.child("import signal; print('here', flush=True); signal.pause()")
    child.start()
    bench.until_logged("here")
    identity = child.status.identity()
    assert identity
    child.status.start_time = identity.start_time - 1  # as if the pid had gone to somebody else
    assert end_leftovers([child.status]) == []
    assert processes.is_running(identity)
    child.status.start_time = identity.start_time
    assert end_leftovers([child.status]) == ["child"]
    assert bench.until_ended(child) == "killed by SIGKILL"


def test_a_process_is_known_by_pid_and_start_time(bench: Bench) -> None:
    me = processes.identify(os.getpid())
    assert me
    assert processes.is_running(me)
    assert not processes.is_running(Identity(me.pid, me.start_time + 1))
    child = bench.child("import signal; print('here', flush=True); signal.pause()")
    child.start()
    bench.until_logged("here")
    assert child.status.pid in processes.family(os.getpid())
    assert processes.session_of(child.status.pid or 0) == child.status.pid
    resident = processes.resident_bytes(child.status.pid or 0)
    assert resident
    assert resident > 1_000_000
