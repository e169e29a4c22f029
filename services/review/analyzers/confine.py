"""The walls around the analysis child, put up before it reads a byte of input. Imports nothing heavy.

Order matters: own user, no way back to privileges, limits, Landlock, and last the system call filter.
"""

import ctypes
import os
import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.review.analyzers import landlock, seccomp

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_CAPBSET_DROP = 1, 4, 8, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 36, 38, 47, 2
_SIGKILL = 9
_CAP_DAC_READ_SEARCH = 2
_CAP_VERSION_3 = 0x20080522
_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_PRIVATE_UIDS, _NOBODY = 1_900_000_000, 65534  # a user of its own per child, so that process limits do not add up


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Resource limits of one process of the child: bytes, seconds, counts."""

    memory: int
    cpu_seconds: int
    file_size: int
    processes: int
    open_files: int


@dataclass(frozen=True, slots=True)
class Walls:
    """What holds and what does not; `notes` are for a person."""

    no_sockets: bool
    landlock: int
    user: str
    notes: tuple[str, ...]


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def confine(folder: str, package: str, tools: Iterable[str], limits: ProcessLimits) -> Walls:
    """Shut this process in: `folder` is all it may write, `package` and the interpreter all it may read.

    `tools` are the programs it may run. What the system can't do becomes a note; raises OSError
    where a limit or the giving up of a privilege is refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    notes: list[str] = []
    reads = _reads(package)
    tools = tuple(tools)
    user = _leave_root(libc, folder, (*reads, *tools), notes) if os.getuid() == 0 else "caller"
    if user != "root":
        _drop_capabilities(libc, keep=_CAP_DAC_READ_SEARCH if user == "private, reading by capability" else None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans stay below this process, where they are counted
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    _limit(limits, private=user.startswith("private"), notes=notes)
    wall = landlock.restrict(_rules(folder, reads, tools))
    if wall.problem:
        notes.append(f"files outside are not walled off: {wall.problem}")
    elif not wall.keeps_signals_in:
        notes.append(f"Landlock {wall.abi} can't keep signals in, so the child may send none")
    problem = seccomp.install(deny_signals=not wall.keeps_signals_in)
    if problem:
        notes.append(f"sockets are not denied: {problem}")
    return Walls(problem is None, wall.abi, user, tuple(notes))


def _reads(package: str) -> tuple[str, ...]:
    entries = [entry for entry in sys.path if entry and Path(entry).is_absolute()]
    return (*_SYSTEM_LIBRARIES, str(Path(os.__file__).parent), f"{sys.base_prefix}/lib", *entries, package)


def _rules(folder: str, reads: Iterable[str], tools: Iterable[str]) -> list[tuple[str, int]]:
    rules = [(path, landlock.READ) for path in reads]
    # A program is started through the dynamic loader, which lies among the libraries.
    rules += [(path, landlock.READ | landlock.EXECUTE) for path in (*_SYSTEM_LIBRARIES, *tools)]
    rules += [("/etc/ld.so.cache", landlock.READ_FILE), ("/dev/urandom", landlock.READ_FILE)]
    rules += [("/dev/null", landlock.READ_FILE | landlock.WRITE_FILE), (folder, landlock.OWN_FOLDER)]
    return rules


def _leave_root(libc: ctypes.CDLL, folder: str, reads: Iterable[str], notes: list[str]) -> str:
    """Become a user that owns nothing but `folder`; says which user it became."""
    passable = all(parent.stat().st_mode & 0o001 for parent in Path(folder).parents)
    open_to_all = passable and all(_open_to_all(Path(path)) for path in reads)
    if not open_to_all and landlock.abi_version() == 0:
        # Reading by capability without Landlock would mean reading everything.
        notes.append("the child still runs as root, without capabilities: others can't read the interpreter")
        _drop_capabilities(libc, keep=None)
        return "root"
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    for capability in range(64):
        if open_to_all or capability != _CAP_DAC_READ_SEARCH:
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    for uid in (_PRIVATE_UIDS + os.getpid() % 100_000_000, _NOBODY):
        with suppress(OSError):  # an identifier that this user namespace does not map
            os.chown(folder, uid, uid)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            return "private" if open_to_all else "private, reading by capability"
    notes.append("the child still runs as root, without capabilities: the system refused another user")
    _drop_capabilities(libc, keep=None)
    return "root"


def _open_to_all(path: Path) -> bool:
    """Whether any user may read `path`; a path that does not exist stands in nobody's way."""
    try:
        resolved = path.resolve()
        return bool(resolved.stat().st_mode & 0o004) and all(p.stat().st_mode & 0o001 for p in resolved.parents)
    except OSError:
        return True


def _drop_capabilities(libc: ctypes.CDLL, keep: int | None) -> None:
    """Give up every capability but `keep`, which the programs started from here then have too; raises OSError."""
    bits = 0 if keep is None else 1 << keep
    header = _CapHeader(_CAP_VERSION_3, 0)
    data = (_CapData * 2)(_CapData(bits, bits, bits), _CapData(0, 0, 0))
    if libc.capset(ctypes.byref(header), ctypes.byref(data)) != 0:
        raise OSError(ctypes.get_errno(), "capabilities can't be given up")
    if keep is not None:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, keep, 0, 0)


def _limit(limits: ProcessLimits, *, private: bool, notes: list[str]) -> None:
    processes = limits.processes
    if os.getuid() == 0:
        notes.append("the number of processes is not limited: the system does not count root's")
    elif not private:
        processes += _threads_of(os.getuid())  # the system counts per user, and this one runs other programs too
    for which, wanted in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(which)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (value, value))


def _threads_of(uid: int) -> int:
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                if entry.stat().st_uid == uid:
                    count += sum(1 for _ in Path(f"/proc/{entry.name}/task").iterdir())
    return count
