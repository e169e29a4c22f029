"""Postgres from a wheel, run directly as a foreground child on a unix socket, as root or as an ordinary user."""

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from cli.engines import processes
from cli.engines.accounts import EngineError, unprivileged
from cli.engines.postgres_files import MAJOR, SERVER_ENVIRONMENT, DataDirectory, find_binaries
from cli.engines.postgres_socket import SUPERUSER, SocketPlace, probe
from cli.engines.spawn import Command, run, spawn

STATUS_LINE = 7  # of postmaster.pid: LOCK_FILE_LINE_PM_STATUS of Postgres's miscadmin.h, counted from 0
STOP_LADDER = [(signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)]

# A laptop's share of memory. Every value is given on the command line, so nothing in the data directory overrides it.
SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "64MB",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_max_workers": "2",
    "io_method": "sync",
    "jit": "off",
    "huge_pages": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}


class PostgresEngine:
    """One Postgres whose files lie in `home` (made when missing); use from one thread.

    `prepare` then `command` serve a supervisor that starts the child itself; `start` and `stop` do all of it.
    """

    def __init__(self, home: Path, settings: dict[str, str] | None = None) -> None:
        self.home = home
        self.data = home / "data"
        self.version = MAJOR
        self._settings = SETTINGS | (settings or {})
        self._account = unprivileged()
        self._directory = DataDirectory(self.data)
        self._socket = SocketPlace(home)
        self._lock_fd: int | None = None
        self._binaries = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket_path(self) -> Path:
        """The unix socket that clients connect to, known after `prepare`."""
        return self._socket.path

    @property
    def socket_directory(self) -> Path:
        """The 0700 directory that holds the socket."""
        return self._socket.path.parent

    @property
    def pid(self) -> int:
        """The postmaster's pid after `start`."""
        if self._process is None:
            raise EngineError("Postgres is not started")
        return self._process.pid

    def dsn(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        """Return a DSN as asyncpg and libpq read it."""
        return f"postgresql://{quote(user)}@/{quote(database)}?host={quote(str(self.socket_directory), safe='/')}"

    def prepare(self) -> None:
        """Find the binaries, make the data directory on first use and clear what an earlier crash left behind.

        Raises EngineError when another process owns the directory or its major version differs.
        """
        self._account = self._directory.owner(self._account)
        binaries, self.version = find_binaries(self._account)
        self._binaries = binaries
        self.home.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        self._directory.open(binaries, self._account)
        self._clear_leftovers()
        self._socket.settle(self._account)

    def command(self) -> Command:
        """Return the command that runs the server in the foreground; call `prepare` before each use."""
        options = self._settings | {"unix_socket_directories": str(self.socket_directory)}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return self._as_account(["postgres", "-D", self._directory.path_for(self._account), *flags], signal.SIGINT)

    def is_ready(self) -> bool:
        """Tell whether the server says so itself and grants a session; asking earlier would fill its log."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return False
        return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready" and probe(self.socket_path)

    def ensure_database(self, name: str) -> None:
        """Make a database on the running server unless it exists; `name` is an identifier of ours, never input."""
        if self._execute(f"SELECT 'there' FROM pg_database WHERE datname = '{name}'") != "there":  # noqa: S608
            self._execute(f"CREATE DATABASE {name}")

    def start(self, log: Path | None = None, timeout: float = 60.0) -> None:
        """Start the server and return when it accepts connections; raises EngineError with the end of its log."""
        try:
            self.prepare()
        except EngineError:
            self.release()
            raise
        if self._process is not None:
            self._process.wait()  # `prepare` saw to it that it is dead
        log = log or self.home / "postgres.log"
        with log.open("ab") as output:
            self._process = spawn(self.command(), output)
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = b"\n".join(log.read_bytes().splitlines()[-5:]).decode(errors="replace")
                raise EngineError(f"Postgres did not start; the end of {log}:\n{tail}")
            time.sleep(processes.POLL_SECONDS)

    def stop(self) -> None:
        """Stop the server in order, harder if it does not go, and let go of the directory."""
        if self._process is not None:
            for number, seconds in STOP_LADDER:
                if self._process.poll() is None:
                    self._process.send_signal(number)
                try:
                    self._process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self._process = None
        self.release()

    def release(self) -> None:
        """Close the descriptors and remove a socket directory made outside `home`."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None
        self._directory.close()
        self._socket.release()

    def _execute(self, statement: str) -> str:
        options = ["-X", "-A", "-t", "-h", str(self.socket_directory), "-U", SUPERUSER, "-d", SUPERUSER]
        done = run(self._as_account(["psql", *options, "-c", statement], signal.SIGKILL))
        text = done.stdout.decode(errors="replace").strip()
        if done.returncode != 0:
            raise EngineError(f"Postgres refused {statement!r}: {text}")
        return text

    def _take_lock(self) -> None:
        if self._lock_fd is not None:
            return
        descriptor = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise EngineError(f"another process runs the Postgres in {self.home}") from error
        self._lock_fd = descriptor

    def _clear_leftovers(self) -> None:
        """End an orphaned server on this very directory and remove a lock file that points at nothing.

        Postgres itself takes a zombie, or a stranger that got the old pid, for a running server.
        """
        orphans = processes.working_in(self.data)
        if orphans and not processes.end(orphans, STOP_LADDER):
            raise EngineError(f"an old server (pid {orphans[0].pid}) keeps hold of {self.data}; end it and try again")
        if processes.PROC.joinpath("self").exists():
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _as_account(self, argv: list[str], death_signal: signal.Signals) -> Command:
        descriptor = self._directory.descriptor
        return Command(
            [str(self._binaries / argv[0]), *argv[1:]],
            env=SERVER_ENVIRONMENT,
            account=self._account,
            pass_fds=() if descriptor is None else (descriptor,),
            stop_signal=signal.SIGINT,
            death_signal=death_signal,
        )
