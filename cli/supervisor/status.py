"""The supervisor's account of itself: one JSON file that the command line and the next supervisor read."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cli.engines import processes
from cli.engines.processes import PROC, Identity
from cli.layout import Layout, write_private


@dataclass
class ChildStatus:
    """One child: state is starting, running, waiting (to be restarted) or stopped; times are Unix seconds."""

    name: str
    state: str = "stopped"
    pid: int | None = None
    start_time: int | None = None
    since: float | None = None
    restarts: int = 0
    last_exit: str | None = None

    def identity(self) -> Identity | None:
        """The process behind it, None when there is none."""
        return Identity(self.pid, self.start_time) if self.pid is not None and self.start_time is not None else None


@dataclass
class Status:
    """The whole system: phase is starting, ready, stopping, stopped or failed (then `error` says why)."""

    pid: int
    start_time: int
    boot_id: str
    phase: str = "starting"
    step: str = ""
    error: str | None = None
    roles: list[str] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    edge: str = ""
    address: str = "127.0.0.1"
    postgres_dsn: str | None = None
    sockets: str = ""
    started_at: float = 0.0
    startup_seconds: float | None = None
    notes: list[str] = field(default_factory=list)
    new_secrets: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    chosen_ports: dict[str, int] = field(default_factory=dict)
    children: list[ChildStatus] = field(default_factory=list)

    @property
    def identity(self) -> Identity:
        """The supervisor's own process."""
        return Identity(self.pid, self.start_time)

    @property
    def alive(self) -> bool:
        """Tell whether the supervisor that wrote this still runs."""
        return self.boot_id == boot_id() and processes.is_running(self.identity)

    def url(self, port: str) -> str | None:
        """Return the URL of a named port for a client on this machine, None when it is not served."""
        number = self.ports.get(port)
        if not number:
            return None
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host if port != 'metrics' else '127.0.0.1'}:{number}"


def boot_id() -> str:
    """Return the kernel's id of this boot: pids and start times mean nothing across boots."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def write(layout: Layout, status: Status) -> None:
    """Replace the file with this status."""
    write_private(layout.status, json.dumps(asdict(status), indent=1) + "\n")


def read(layout: Layout) -> Status | None:
    """Return what the last supervisor wrote, None when there is nothing readable."""
    return read_path(layout.status)


def read_path(path: Path) -> Status | None:
    """Return the status in this file, None when it is missing or not ours."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        children = [ChildStatus(**child) for child in content.pop("children")]
        return Status(**content, children=children)
    except (OSError, ValueError, TypeError, KeyError):
        return None
