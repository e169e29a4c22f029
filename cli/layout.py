"""Where the embedded system keeps its state (contract section 7)."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SYSTEM_STATE = Path("/var/lib/lintel")
SOCKETS_PREFIX = "lintel-run-"
LONGEST_SOCKET = len("/webhooks_worker.public.sock")
MAX_SOCKET_PATH = 103  # the smaller of Linux's 107 and macOS's 103 bytes for sun_path, less its final NUL


def state_directory(environment: Mapping[str, str]) -> Path:
    """Return LINTEL_STATE_DIR, else the user's XDG state directory, else (as root) /var/lib/lintel."""
    if chosen := environment.get("LINTEL_STATE_DIR"):
        return Path(chosen).expanduser().absolute()
    base = environment.get("XDG_STATE_HOME", "")
    if Path(base).is_absolute():  # the XDG specification says to ignore a relative one
        return Path(base) / "lintel"
    return SYSTEM_STATE if os.geteuid() == 0 else Path.home() / ".local" / "state" / "lintel"


@dataclass(frozen=True)
class Layout:
    """The files of one embedded system below its state directory."""

    state: Path

    @property
    def postgres(self) -> Path:
        """Home of the embedded Postgres."""
        return self.state / "postgres"

    @property
    def logs(self) -> Path:
        """One log per child, rotated by size."""
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """What only means something while the system runs."""
        return self.state / "run"

    @property
    def status(self) -> Path:
        """The supervisor's account of itself, rewritten whole at each change."""
        return self.run / "supervisor.json"

    @property
    def lock(self) -> Path:
        """Held by the one supervisor of this state directory."""
        return self.run / "lock"

    @property
    def envoy(self) -> Path:
        """Envoy's rendered configuration."""
        return self.run / "envoy.yaml"

    @property
    def secrets(self) -> Path:
        """Secrets made by the first `up`."""
        return self.state / "secrets.env"

    @property
    def api_key(self) -> Path:
        """The local API key the command line uses."""
        return self.state / "api-key"

    def make(self) -> None:
        """Make the directories; as root the state directory lets the engines' unprivileged user pass through."""
        self.state.mkdir(parents=True, mode=0o755 if os.geteuid() == 0 else 0o700, exist_ok=True)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self.run.mkdir(mode=0o700, exist_ok=True)
        self.run.chmod(0o700)

    def sockets(self) -> Path:
        """Return the 0700 directory for the roles' sockets: `run`, or a fresh one when that path is too long."""
        if len(os.fsencode(self.run)) + LONGEST_SOCKET <= MAX_SOCKET_PATH:
            return self.run
        return Path(tempfile.mkdtemp(prefix=SOCKETS_PREFIX))


def discard_sockets(directory: Path) -> None:
    """Remove a directory that `Layout.sockets` made outside the state directory."""
    if directory.name.startswith(SOCKETS_PREFIX):
        shutil.rmtree(directory, ignore_errors=True)


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner may read, whole or not at all."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    staging.replace(path)
