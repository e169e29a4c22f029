"""Where the server's unix socket lies, and asking through it whether sessions are granted."""

import os
import shutil
import socket
import struct
import tempfile
from pathlib import Path

from cli.engines.accounts import may_enter, private_directory
from cli.engines.spawn import Account

SUPERUSER = "postgres"
SOCKET_NAME = ".s.PGSQL.5432"
MAX_PATH = 107 if os.uname().sysname == "Linux" else 103  # sun_path of unix(7), less the final NUL
PRIVATE_PREFIX = "lintel-pg-"
SHORT_PARENTS = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 -- mkdtemp makes a private one inside


class SocketPlace:
    """The 0700 directory of the socket: `home`/socket, or a private one elsewhere.

    The private one is used when the usual path is too long or closed to the account. It is remembered in `home`, so
    that a start after a crash removes it.
    """

    def __init__(self, home: Path) -> None:
        self.directory: Path | None = None
        self._usual = home / "socket"
        self._note = home / "socket-directory"

    @property
    def path(self) -> Path:
        """The socket itself; the usual place before `settle`."""
        return (self.directory or self._usual) / SOCKET_NAME

    def settle(self, account: Account | None) -> Path:
        """Make the directory unless it is made, and return it; raises EngineError when there is no place for one."""
        if self.directory is None:
            self._forget()
            self.directory = self._make(account)
        return self.directory

    def release(self) -> None:
        """Remove a private directory that this object settled on; another server's is left alone."""
        if self.directory is not None:
            self._forget()
            self.directory = None

    def _make(self, account: Account | None) -> Path:
        if len(os.fsencode(self._usual / SOCKET_NAME)) <= MAX_PATH and may_enter(self._usual, account):
            self._usual.mkdir(mode=0o700, exist_ok=True)
            self._usual.chmod(0o700)
            if account:
                os.chown(self._usual, account.uid, account.gid)
            return self._usual
        made = private_directory(account, SHORT_PARENTS, PRIVATE_PREFIX)
        self._note.write_text(str(made), encoding="utf-8")
        return made

    def _forget(self) -> None:
        if self._note.exists():
            noted = Path(self._note.read_text(encoding="utf-8"))
            if noted.name.startswith(PRIVATE_PREFIX):
                shutil.rmtree(noted, ignore_errors=True)
            self._note.unlink()


def probe(path: Path, timeout: float = 1.0) -> bool:
    """Tell whether a Postgres behind this unix socket accepts sessions (start-up message of protocol 3.0)."""
    body = struct.pack("!i", 3 << 16) + f"user\0{SUPERUSER}\0database\0postgres\0\0".encode()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout)
            client.connect(str(path))
            client.sendall(struct.pack("!i", len(body) + 4) + body)
            kind = client.recv(1)
            if kind == b"R":
                client.sendall(b"X\0\0\0\4")
            return kind == b"R"
    except OSError:
        return False
