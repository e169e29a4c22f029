"""One child of the supervisor: started, its output kept, ended in order, its session swept when it dies."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from cli.engines import processes
from cli.engines.processes import Identity
from cli.engines.spawn import Command, spawn
from cli.supervisor.logfile import RotatingLog
from cli.supervisor.status import ChildStatus

CHUNK = 65536
BACKOFF_FIRST = 0.1
BACKOFF_LAST = 30.0
STEADY_SECONDS = 30.0  # a child that lived this long starts the back-off from its first step again

Ladder = Sequence[tuple[signal.Signals, float]]


class Child:
    """`command` is asked anew for every start, so it can prepare the ground (and clear what a crash left)."""

    def __init__(
        self,
        name: str,
        command: Callable[[], Command],
        log: RotatingLog,
        selector: selectors.BaseSelector,
        ladder: Ladder,
        *,
        keep_output: bool = False,
    ) -> None:
        self.status = ChildStatus(name)
        self.restart_at: float | None = None
        self.log = log
        self._command = command
        self._selector = selector
        self._ladder = ladder
        self._kept = bytearray() if keep_output else None
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = BACKOFF_FIRST

    @property
    def running(self) -> bool:
        """Tell whether it was started and its end has not been seen."""
        return self._process is not None

    def start(self) -> None:
        """Start the process; raises what making its command raises."""
        command = self._command()
        with self._pipe(self.log.write) as errors:
            if self._kept is None:
                self._process = spawn(command, errors)
            else:
                with self._pipe(self._kept.extend) as output:
                    self._process = spawn(command, output, errors)
        self.restart_at = None
        identity = processes.identify(self._process.pid)
        self.status.pid = self._process.pid
        self.status.start_time = identity.start_time if identity else 0
        self.status.since = time.time()
        self.status.state = "running"

    def output(self) -> bytes:
        """Return what it wrote to stdout, when that is kept instead of logged."""
        return bytes(self._kept or b"")

    @contextlib.contextmanager
    def _pipe(self, sink: Callable[[bytes], object]) -> Iterator[IO[bytes]]:
        """Give the writing end of a pipe whose other end the selector moves to `sink` until every writer is gone."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        reader = os.fdopen(reading, "rb", buffering=0)

        def pump(_: object) -> None:
            data = reader.read(CHUNK)
            if data:
                sink(data)
            elif data is not None:
                self._selector.unregister(reader)
                reader.close()

        self._selector.register(reader, selectors.EVENT_READ, pump)
        with os.fdopen(writing, "wb", buffering=0) as writer:
            yield writer

    def reap(self) -> str | None:
        """Return how the child ended if it just did, None otherwise; what is left of its session is killed first."""
        if self._process is None:
            return None
        if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        sweep_session(self._process.pid)  # its zombie still holds the pid, so the session can be nobody else's
        code = self._process.wait()
        lived = time.time() - (self.status.since or 0.0)
        self._process = None
        self._backoff = BACKOFF_FIRST if lived > STEADY_SECONDS else self._backoff
        self.status.pid = self.status.start_time = None
        self.status.state = "stopped"
        self.status.last_exit = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return self.status.last_exit

    def schedule_restart(self) -> float:
        """Plan the next start and return the delay in seconds; each one in a row is twice as long, up to a bound."""
        delay = self._backoff
        self._backoff = min(self._backoff * 2, BACKOFF_LAST)
        self.restart_at = time.monotonic() + delay
        self.status.state = "waiting"
        self.status.restarts += 1
        return delay

    def stop(self, tick: Callable[[float], None]) -> None:
        """End it by its ladder of signals and seconds to wait after each, while `tick` keeps the output flowing."""
        self.restart_at = None
        for number, seconds in self._ladder:
            self._signal(number)
            deadline = time.monotonic() + seconds
            while self.running and self.reap() is None and time.monotonic() < deadline:
                tick(processes.POLL_SECONDS)
            if not self.running:
                return

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)


def sweep_session(leader: int) -> None:
    """Kill what still runs in the OS session of a dead leader."""
    members = [pid for pid in processes.pids() if pid != leader and processes.session_of(pid) == leader]
    left = [identity for pid in members if (identity := processes.identify(pid))]
    if left:
        processes.end(left, [(signal.SIGKILL, 2.0)])


def end_leftovers(children: list[ChildStatus]) -> list[str]:
    """End what an earlier supervisor of this boot left running, by recorded pid and start time; return the names."""
    ended = []
    for child in reversed(children):
        leader = child.identity()
        if leader is None:
            continue
        others = [pid for pid in processes.pids() if processes.session_of(pid) == leader.pid]
        found = [identity for pid in others if (identity := processes.identify(pid))]
        stranger = processes.identify(leader.pid)
        if stranger is not None and stranger != leader:
            continue  # the pid went to somebody else
        family: list[Identity] = [one for one in found if one.start_time >= leader.start_time]
        ladder = [(signal.SIGINT, 10.0)] if child.name == "postgres" else []
        if family and processes.end(family, [*ladder, (signal.SIGKILL, 5.0)]):
            ended.append(child.name)
    return ended
