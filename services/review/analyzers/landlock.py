"""Landlock: the child reads interpreter and libraries, writes its own folder, reaches no TCP port and no process."""

import ctypes
import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # one number on every architecture
_VERSION_FLAG, _PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_TRUNCATE = 1 << 14
_FOR_FILES = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE
READ = READ_FILE | READ_DIR
# No links, devices, fifos or sockets, and nothing written there can be run.
OWN_FOLDER = READ | WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE

_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}  # ABI 5 and later know 16 (ioctl on devices)
_NET_TCP = 0b11  # bind and connect, from ABI 4
_SCOPES = 0b11  # abstract unix sockets and signals, from ABI 6


class _RulesetAttr(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("fd", ctypes.c_int32))


@dataclass(frozen=True, slots=True)
class Wall:
    """What Landlock holds: its ABI (0 for none), and why there is none."""

    abi: int
    problem: str | None

    @property
    def keeps_signals_in(self) -> bool:
        """Whether processes outside can't be signalled (ABI 6, Linux 6.12)."""
        return self.abi >= 6


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def abi_version() -> int:
    """The Landlock ABI of this kernel, 0 where it is missing or switched off."""
    version = _libc().syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    return max(0, int(version))


def restrict(rules: Iterable[tuple[str, int]]) -> Wall:
    """Allow exactly the given (path, rights) and what lies beneath, for good; a path that is missing is left out.

    Must run after PR_SET_NO_NEW_PRIVS, while the process has one thread.
    """
    abi = abi_version()
    if abi == 0:
        return Wall(0, "the kernel has no Landlock")
    handled = (1 << _FS_BITS.get(abi, 16)) - 1
    attr = _RulesetAttr(handled, _NET_TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    libc = _libc()
    ruleset = libc.syscall(
        ctypes.c_long(_CREATE_RULESET), ctypes.byref(attr), ctypes.c_size_t(size), ctypes.c_uint32(0)
    )
    if ruleset < 0:
        return Wall(0, _error())
    try:
        for path, access in rules:
            problem = _allow(libc, ruleset, path, access & handled)
            if problem:
                return Wall(0, problem)
        if libc.syscall(ctypes.c_long(_RESTRICT_SELF), ctypes.c_int(ruleset), ctypes.c_uint32(0)) != 0:
            return Wall(0, _error())
    finally:
        os.close(ruleset)
    return Wall(abi, None)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> str | None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        is_folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        beneath = _PathBeneath(access if is_folder else access & _FOR_FILES, fd)
        done = libc.syscall(
            ctypes.c_long(_ADD_RULE),
            ctypes.c_int(ruleset),
            ctypes.c_int(_PATH_BENEATH),
            ctypes.byref(beneath),
            ctypes.c_uint32(0),
        )
        return None if done == 0 else _error()
    finally:
        os.close(fd)


def _error() -> str:
    return errno.errorcode.get(ctypes.get_errno(), "error")
