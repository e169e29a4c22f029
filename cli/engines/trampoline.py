"""Run as a script in a fresh interpreter: tie the process to its parent, drop privileges, then become the program.

It stands between a parent and an engine because doing this after `fork` inside the parent is unsafe as soon as the
parent has threads, and because the order matters: Linux forgets the parent-death signal when the user id changes.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Take PARENT_PID DEATH_SIGNAL UID GID PROGRAM ARGS...; ids of -1 keep the caller's. Never returns."""
    parent, death_signal, uid, gid = (int(value) for value in arguments[:4])
    program = arguments[4:]
    if gid >= 0:
        os.setgroups([])
        os.setgid(gid)
    if uid >= 0:
        os.setuid(uid)
    if sys.platform == "linux" and death_signal:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # it died before the request took hold
            os._exit(1)
    os.execv(program[0], program)  # noqa: S606 -- becoming the program is this file's one purpose


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"cannot start {sys.argv[5]}: {error}\n")
        os._exit(127)
