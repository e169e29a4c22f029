"""Finding free TCP ports, and who has one that is taken."""

import errno
import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path

from cli.engines.processes import PROC, pids

LOOPBACK = "127.0.0.1"
LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
BELOW_EPHEMERAL = range(20000, 32000)  # Linux hands out 32768 and up to clients, so these stay free once found


class PortTakenError(Exception):
    """A port something else listens on; the message says who and what to do."""


@dataclass(frozen=True)
class Listener:
    """A listening socket as the kernel lists it; pid and command are None when they can't be seen."""

    uid: int
    pid: int | None
    command: str | None

    def __str__(self) -> str:
        if self.pid is None:
            return f"a process of user id {self.uid} that this user may not see has it"
        return f"process {self.pid} has it ({self.command})"


def is_free(port: int, address: str = LOOPBACK) -> bool:
    """Tell whether a server could listen on this port of the address now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((address, port))
            candidate.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def find_free(taken: set[int]) -> int:
    """Return a free port that is not in `taken`; raises PortTakenError after many tries."""
    generator = random.SystemRandom()
    for _ in range(200):
        port = generator.choice(BELOW_EPHEMERAL)
        if port not in taken and is_free(port):
            return port
    raise PortTakenError("no free port was found between 20000 and 32000")


def require_free(port: int, purpose: str, remedy: str, address: str = LOOPBACK) -> None:
    """Raise PortTakenError with the holder's pid and command line when the port can't be had."""
    if is_free(port, address):
        return
    if port < 1024 and os.geteuid() != 0 and find_listener(port) is None:
        raise PortTakenError(f"port {port} ({purpose}) needs root; {remedy}")
    holder = find_listener(port)
    who = str(holder) if holder else "who has it can't be seen here"
    raise PortTakenError(f"port {port} ({purpose}) is taken: {who}; {remedy}")


def find_listener(port: int) -> Listener | None:
    """Return who listens on this port, by the kernel's socket table; None where there is none or no `/proc`."""
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                pid = _owner(f"socket:[{fields[9]}]")
                return Listener(int(fields[7]), pid, _command_line(pid) if pid else None)
    return None


def _owner(link: str) -> int | None:
    for pid in pids():
        try:
            descriptors = list((PROC / str(pid) / "fd").iterdir())
        except OSError:
            continue
        if any(_target(descriptor) == link for descriptor in descriptors):
            return pid
    return None


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


def _command_line(pid: int) -> str:
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "command unknown"
    text = b" ".join(words).decode(errors="replace")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:120]
