"""What the kernel says about processes: who they are, whether they still run, where they work.

Everything here identifies a process by its pid and start time or by the directory it works in, never by its name.
Without `/proc` (macOS) only liveness can be told.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Identity:
    """A process that can't be confused with a later one of the same pid: start time is in clock ticks since boot."""

    pid: int
    start_time: int


def _stat_fields(pid: int) -> list[str] | None:
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the name before it may hold spaces and parentheses


def identify(pid: int) -> Identity | None:
    """Return the identity of a running process; None when there is none or only its zombie is left."""
    fields = _stat_fields(pid)
    if fields is not None:
        return None if fields[0] in "ZX" else Identity(pid, int(fields[19]))
    if PROC.joinpath("self").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return Identity(pid, 0)


def is_running(identity: Identity) -> bool:
    """Tell whether exactly this process still runs; a zombie does not."""
    return identify(identity.pid) == identity


def resident_bytes(pid: int) -> int | None:
    """Return the resident set of one process in bytes, or None where it can't be seen."""
    try:
        pages = int((PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def pids() -> list[int]:
    """Return every pid that `/proc` shows, zombies included."""
    return [int(entry.name) for entry in PROC.glob("[0-9]*")]


def family(root: int) -> list[int]:
    """Return the process and all its descendants."""
    parents = {pid: int(fields[1]) for pid in pids() if (fields := _stat_fields(pid))}
    found = [root] if root in parents else []
    for parent in found:  # grows while it is walked
        found += [pid for pid, of in parents.items() if of == parent]
    return found


def proportional_bytes(pid: int) -> int | None:
    """Return a process's memory with each shared page divided among its users, or None where it can't be seen."""
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def session_of(pid: int) -> int | None:
    """Return the OS session a process belongs to."""
    fields = _stat_fields(pid)
    return int(fields[3]) if fields else None


def working_in(directory: Path) -> list[Identity]:
    """Return the running processes whose working directory is this very directory (same device and inode)."""
    try:
        wanted = directory.stat()
    except OSError:
        return []
    found = []
    for pid in pids():
        try:
            seen = (PROC / str(pid) / "cwd").stat()
        except OSError:  # gone, a zombie, or another user's: none of them can be ours
            continue
        identity = identify(pid)
        if identity and (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino):
            found.append(identity)
    return found


def send(identity: Identity, number: signal.Signals) -> None:
    """Signal exactly this process; nothing happens when it is gone."""
    if is_running(identity):
        try:
            os.kill(identity.pid, number)
        except ProcessLookupError:
            return


def wait_gone(identities: list[Identity], seconds: float) -> bool:
    """Wait until none of them runs; False when some still do after `seconds`."""
    deadline = time.monotonic() + seconds
    while any(is_running(identity) for identity in identities):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def end(identities: list[Identity], ladder: list[tuple[signal.Signals, float]]) -> bool:
    """Send each signal of the ladder in turn, giving the processes that many seconds to go; True when all went."""
    for number, seconds in ladder:
        for identity in identities:
            send(identity, number)
        if wait_gone(identities, seconds):
            return True
    return not any(is_running(identity) for identity in identities)
