"""The attacker on a kernel without Landlock: a filter put up first answers ENOSYS to its first call."""

import ctypes
import errno
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT))
seccomp = __import__("services.review.analyzers.seccomp", fromlist=["seccomp"])
sys.path.remove(str(ROOT))

LANDLOCK_CREATE_RULESET, SET_NO_NEW_PRIVS, SET_SECCOMP = 444, 38, 22
code = b"".join(
    [
        seccomp._op(seccomp._LD_ABS, seccomp._NR),
        seccomp._op(seccomp._JEQ, LANDLOCK_CREATE_RULESET, 0, 1),
        seccomp._ret(seccomp._ERRNO | errno.ENOSYS),
        seccomp._ret(seccomp._ALLOW),
    ]
)
libc = ctypes.CDLL(None)
libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0)
assert libc.prctl(SET_SECCOMP, 2, ctypes.byref(seccomp._Program(len(code) // 8, code)), 0, 0) == 0
runpy.run_path(str(Path(__file__).parent / "attacker.py"))
