"""A system call filter in raw BPF: no sockets, no other processes, no system administration.

It is inherited by every program the child starts and can't be taken off again.
"""

import ctypes
import errno
import platform
import struct

from services.review.analyzers import syscalls

_LD_ABS, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF opcodes of linux/filter.h
_KILL_PROCESS, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000  # linux/seccomp.h
_NR, _ARCH, _ARG0 = 0, 4, 16  # offsets in struct seccomp_data, low word of the first argument
_X32_BIT = 0x40000000
_CLONE_NEW = 0x02000000 | 0x00020000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _ret(value: int) -> bytes:
    return _op(_RET, value)


def program(machine: str, *, deny_signals: bool) -> bytes:
    """The filter for `machine` (x86_64 or aarch64); raises KeyError for any other.

    A call through a foreign calling convention kills the process, a denied one fails with EPERM.
    """
    column = 0 if machine == "x86_64" else 1
    out = [
        _op(_LD_ABS, _ARCH),
        _op(_JEQ, syscalls.AUDIT_ARCH[machine], 1, 0),
        _ret(_KILL_PROCESS),
        _op(_LD_ABS, _NR),
    ]
    if machine == "x86_64":
        out += [_op(_JGE, _X32_BIT, 0, 1), _ret(_KILL_PROCESS)]
    out += [_op(_JGE, syscalls.LAST_KNOWN + 1, 0, 1), _ret(_ERRNO | errno.ENOSYS)]
    # The C library falls back to clone, whose flags a filter can read; those of clone3 are behind a pointer.
    out += [_op(_JEQ, syscalls.CLONE3, 0, 1), _ret(_ERRNO | errno.ENOSYS)]
    denied = dict(syscalls.NETWORK) | syscalls.OTHER_PROCESSES | syscalls.SYSTEM
    if deny_signals:
        denied |= syscalls.SIGNALS
    for numbers in denied.values():
        number = numbers[column]
        if number is not None:
            out += [_op(_JEQ, number, 0, 1), _ret(_ERRNO | errno.EPERM)]
    # No new namespaces; and no limits of another process (pid 0 is the caller).
    out += [
        _op(_JEQ, syscalls.CLONE[column], 0, 4),
        _op(_LD_ABS, _ARG0),
        _op(_JSET, _CLONE_NEW, 0, 1),
        _ret(_ERRNO | errno.EPERM),
        _ret(_ALLOW),
        _op(_JEQ, syscalls.PRLIMIT64[column], 0, 3),
        _op(_LD_ABS, _ARG0),
        _op(_JEQ, 0, 1, 0),
        _ret(_ERRNO | errno.EPERM),
        _ret(_ALLOW),
    ]
    return b"".join(out)


def install(*, deny_signals: bool) -> str | None:
    """Put the filter on this process for good; returns why it could not, None when it holds.

    Must run while the process has one thread and after PR_SET_NO_NEW_PRIVS.
    """
    machine = platform.machine()
    if machine not in syscalls.AUDIT_ARCH:
        return f"no filter for {machine}"
    code = program(machine, deny_signals=deny_signals)
    libc = ctypes.CDLL(None, use_errno=True)
    prog = _Program(len(code) // 8, code)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(prog), 0, 0) != 0:
        return errno.errorcode.get(ctypes.get_errno(), "error")
    return None
