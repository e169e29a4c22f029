"""A child program whose one analyzer does what the change tells it to: what hostile code in the child could try."""

# ruff: noqa: PTH101, PTH102, PTH104, PTH123, PTH211, SIM115
# The attacks use the system's own calls on purpose.

import ctypes
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from services.review.analyzers import syscalls
from services.review.analyzers.ruff import executable
from services.review.analyzers.serve import main
from services.review.analyzers.target import Deadline, Outcome, Target
from services.review.domain import Fate

sys.path.remove(str(Path(__file__).resolve().parents[4]))
Attack = Callable[[str], object]


def _connect(family: int, kind: int) -> Attack:
    def attack(address: str) -> None:
        with socket.socket(family, kind) as sock:
            sock.connect(address if family == socket.AF_UNIX else ("127.0.0.1", int(address)))

    return attack


def _syscall(name: str) -> Attack:
    def attack(_: str) -> str:
        table = syscalls.NETWORK | syscalls.OTHER_PROCESSES | syscalls.SYSTEM
        number = table[name][0 if platform.machine() == "x86_64" else 1]
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(number, *[ctypes.c_long(0)] * 6) >= 0:
            return "done"
        raise OSError(ctypes.get_errno(), name)

    return attack


def _unshare(_: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x20000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def _fork_bomb(_: str) -> str:
    children = 0
    try:
        while children < 500:
            if os.fork() == 0:
                signal.pause()
                os._exit(0)
            children += 1
    except OSError as error:
        return f"{type(error).__name__} after {children}"
    return "no limit"


def _threads(_: str) -> str:
    wait = threading.Event()
    for count in range(500):
        try:
            threading.Thread(target=wait.wait, daemon=True).start()
        except RuntimeError:
            return f"limited after {count}"
    return "no limit"


def _new_group(_: str) -> None:
    os.setsid()


def _allocate(_: str) -> None:
    hoard = []
    while True:
        hoard.append(b"x" * 10_000_000)


def _allocate_in_many(_: str) -> None:
    for _number in range(15):
        if os.fork() == 0:
            hoard = [b"x" * 40_000_000]
            while hoard:
                signal.pause()
    signal.pause()


def _fill_disk(_: str) -> None:
    for number in range(1000):
        with open(f"fill{number}", "wb") as file:
            for _megabyte in range(8):
                file.write(b"x" * 1_000_000)


def _spin(_: str) -> None:
    while True:
        pass


def _orphan(_: str) -> str:
    if os.fork() == 0:
        if os.fork() == 0:
            signal.pause()
        os._exit(0)
    os.wait()
    return "left an orphan"


def _run_dropped_program(_: str) -> None:
    Path("evil").write_bytes(b"#!/bin/sh\nexit 0\n")
    os.chmod("evil", 0o755)
    subprocess.run(["./evil"], check=True)


def _tool_connects(port: str) -> str:
    """What the child starts has the same walls; but its own interpreter is no tool, so it can't even be started."""
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    return str(subprocess.run([sys.executable, "-c", code], check=False).returncode)


def _forge(message: bytes) -> Attack:
    def attack(_: str) -> None:
        for fd in range(3, 64):
            try:
                os.write(fd, len(message).to_bytes(4, "big") + message)
            except OSError:
                continue
        signal.pause()

    return attack


def _locked_folder(_: str) -> str:
    os.mkdir("locked")
    Path("locked/file").write_text("x")
    os.chmod("locked", 0)
    os.chmod(".", 0)
    return "locked"


ATTACKS: dict[str, Attack] = {
    "tcp": _connect(socket.AF_INET, socket.SOCK_STREAM),
    "udp": _connect(socket.AF_INET, socket.SOCK_DGRAM),
    "unix": _connect(socket.AF_UNIX, socket.SOCK_STREAM),
    "netlink": lambda _: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "socketpair": lambda _: socket.socketpair(),
    "environ": lambda pid: Path(f"/proc/{pid}/environ").read_bytes(),
    "own_environ": lambda _: Path("/proc/self/environ").read_bytes(),
    "memory": lambda pid: open(f"/proc/{pid}/mem", "rb").read(1),
    "read": lambda path: Path(path).read_bytes(),
    "list": os.listdir,
    "write": lambda path: Path(path).write_text("broken in"),
    "remove": os.unlink,
    "rename": lambda path: os.rename("/dev/null", path),
    "symlink": lambda path: os.symlink(path, "link"),
    "hard_link": lambda path: os.link(path, "link"),
    "signal": lambda pid: os.kill(int(pid), signal.SIGUSR1),
    "limits": lambda pid: __import__("resource").prlimit(int(pid), 7, (10, 10)),
    "raise_limits": lambda _: __import__("resource").setrlimit(7, (4096, 4096)),
    "group": _new_group,
    "root": lambda _: os.setuid(0),
    "mount_namespace": _unshare,
    "clone_namespace": _syscall("unshare"),
    "run_dropped": _run_dropped_program,
    "run_shell": lambda _: subprocess.run(["/bin/sh", "-c", "true"], check=True),
    "run_python": _tool_connects,
    "open_files": lambda _: [os.dup(0) for _ in range(1000)],
    "big_file": lambda _: signal.signal(signal.SIGXFSZ, signal.SIG_IGN) and Path("big").write_bytes(b"x" * 70_000_000),
    "fork_bomb": _fork_bomb,
    "threads": _threads,
    "allocate": _allocate,
    "allocate_in_many": _allocate_in_many,
    "fill_disk": _fill_disk,
    "spin": _spin,
    "sleep": lambda _: signal.pause(),
    "exit": lambda _: os._exit(7),
    "segfault": lambda _: os.kill(os.getpid(), signal.SIGSEGV),
    "foreign_abi": lambda _: ctypes.CDLL(None).syscall(0x40000000 + 39),
    "panic": lambda _: (_ for _ in ()).throw(KeyboardInterrupt("secret text of the input")),
    "orphan": _orphan,
    "locked_folder": _locked_folder,
    "descriptors": lambda _: _open_descriptors(),
    "user": lambda _: f"{os.getuid()} {os.environ.keys() - {'LC_ALL', 'LC_CTYPE'}} {os.getsid(0) == os.getpid()}",
    "tool": lambda _: subprocess.run([str(executable()), "--version"], check=True).returncode,
    "forge_json": _forge(b"not json"),
    "forge_deep": _forge(b"[" * 200_000),
    "forge_type": _forge(b'{"type":"files","files":[]}'),
    "forge_end": _forge(b'{"type":"end"}'),
    "forge_done": _forge(b'{"type":"done","name":"attacker","version":1}'),
    "forge_long": _forge(b"x" * 20_000_000),
}


def _open_descriptors() -> str:
    kinds = []
    for fd in range(64):
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            continue
        kinds.append(
            f"{fd}:{'pipe' if mode & 0o170000 == 0o010000 else 'device' if mode & 0o170000 == 0o020000 else 'other'}"
        )
    return " ".join(kinds)


class Attacker:
    """Runs the attack that the first target's first added line names, as "name argument"."""

    name = "attacker"

    def version(self) -> str:
        return "1"

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        name, _, argument = targets[0].added[0].text.partition(" ")
        try:
            result = ATTACKS[name](argument)
        except (OSError, ValueError) as error:
            return Outcome((), Fate.RAN, f"refused: {type(error).__name__}")
        return Outcome((), Fate.RAN, f"got through: {str(result)[:300]}")


class Second:
    """Runs after the attack; says that the child still works."""

    name = "second"

    def version(self) -> str:
        return "1"

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        return Outcome(())


main((Attacker(), Second()))
