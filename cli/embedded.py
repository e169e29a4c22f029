"""Starting, watching and stopping an embedded system from another program."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from cli.engines import processes
from cli.layout import Layout
from cli.supervisor import status as statuses
from cli.supervisor.child import end_leftovers
from cli.supervisor.options import ROLES, Options
from cli.supervisor.plan import python_environment
from cli.supervisor.status import Status

START_SECONDS = 240.0  # first start on a slow disk: initdb, the schema, imports of a cold file cache
STOP_SECONDS = 60.0  # more than the sum of the supervisor's own ladders
POLL_SECONDS = 0.03

# An embedded system of its own must never touch what a production environment names.
EXTERNAL_ENGINES = (
    *("DATABASE_URL", "DATABASE_URL_FILE", "MONGODB_URI", "MONGODB_URI_FILE", "API_RABBITMQ_URI"),
    *(f"API_PG_DB_{part}" for part in ("HOST", "PORT", "USERNAME", "PASSWORD", "DATABASE", "SSL")),
    *(f"API_MG_DB_{part}" for part in ("HOST", "PORT", "USERNAME", "PASSWORD", "DATABASE")),
    *("API_RABBITMQ_URI_FILE", "LINTEL_MIGRATIONS_URL", "API_PORT", "API_WEBHOOKS_PORT", "LINTEL_METRICS_PORT"),
)

Watcher = Callable[[str], None]


class SystemStartError(Exception):
    """The system did not start; the message says why and what to do."""


class AlreadyRunsError(SystemStartError):
    """Another supervisor has this state directory."""


class SystemStopError(Exception):
    """The system could not be stopped; the message names the process that stays."""


def running(layout: Layout) -> Status | None:
    """Return the status of the system that runs in this state directory, None when none does."""
    status = statuses.read(layout)
    return status if status is not None and status.alive else None


def launch(options: Options, environment: Mapping[str, str], working_directory: Path) -> subprocess.Popen[bytes]:
    """Start a supervisor in an OS session of its own; what it can't log goes to `logs/supervisor.err`."""
    layout = Layout(options.state)
    try:
        layout.make()
        errors = (layout.logs / "supervisor.err").open("wb")
    except OSError as error:
        raise SystemStartError(
            f"the state directory {layout.state} can't be used ({error.strerror}); set LINTEL_STATE_DIR to another"
        ) from error
    with errors:
        return subprocess.Popen(
            [sys.executable, "-m", "cli.supervisor", *options.arguments()],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            env=python_environment(environment),
            cwd=working_directory,
            pass_fds=() if options.lifeline is None else (options.lifeline,),
            start_new_session=True,
        )


def wait_ready(layout: Layout, supervisor: subprocess.Popen[bytes], watch: Watcher = lambda _: None) -> Status:
    """Wait until this supervisor reports ready, passing each step to `watch`; raises SystemStartError."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = supervisor.poll() is not None
        status = statuses.read(layout)
        if status is not None and status.pid == supervisor.pid:
            if status.phase == "ready" and not ended:
                return status
            if status.error:
                supervisor.wait()
                raise SystemStartError(status.error)
            watch(status.step)
        if ended:
            other = running(layout)
            if other is not None:
                raise AlreadyRunsError(f"another supervisor (pid {other.pid}) runs in {layout.state}")
            raise SystemStartError(_why(layout, status))
        time.sleep(POLL_SECONDS)
    supervisor.terminate()
    raise SystemStartError(f"the system was not ready within {START_SECONDS:.0f} s; its logs are in {layout.logs}")


def _why(layout: Layout, status: Status | None) -> str:
    if status is not None and status.phase == "stopped":
        return "the system was stopped before it was ready"
    try:
        tail = (layout.logs / "supervisor.err").read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    except OSError:
        tail = []
    return "\n".join([f"the supervisor ended unexpectedly; see {layout.logs}", *tail])


def stop(layout: Layout, watch: Watcher = lambda _: None) -> bool:
    """Stop the system of this state directory and all that is left of it; False when nothing ran."""
    status = statuses.read(layout)
    if status is None or status.boot_id != statuses.boot_id():
        return False
    was_alive = status.alive
    if was_alive:
        processes.send(status.identity, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while processes.is_running(status.identity):
            if time.monotonic() > deadline:
                raise SystemStopError(f"the supervisor (pid {status.pid}) did not end within {STOP_SECONDS:.0f} s")
            latest = statuses.read(layout)
            watch(latest.step if latest else "")
            time.sleep(POLL_SECONDS)
    return bool(end_leftovers(status.children)) or was_alive


class Embedded:
    """A complete system with a state directory of its own, from `with` to its end; loopback only.

    `ports` is "free" (any) or "default" (3001 and 3332). `env` is added to the caller's environment, from which what
    names an external engine is left out. Ends with the calling process, even when that is killed. Raises
    SystemStartError on entry.
    """

    def __init__(
        self,
        state_dir: Path,
        ports: Literal["free", "default"] = "free",
        env: Mapping[str, str] | None = None,
        roles: tuple[str, ...] = ROLES,
        watch: Watcher = lambda _: None,
    ) -> None:
        self.layout = Layout(state_dir.absolute())
        self._env = {name: value for name, value in os.environ.items() if name not in EXTERNAL_ENGINES} | dict(
            env or {}
        )
        self._options = (roles, ports == "free")
        self._watch = watch
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._status: Status | None = None

    def __enter__(self) -> Self:
        """Start the system and return when it is ready."""
        reader, self._lifeline = os.pipe()
        roles, free = self._options
        options = Options(self.layout.state, roles, free_ports=free, lifeline=reader)
        try:
            self.layout.make()
            self._supervisor = launch(options, self._env, self.layout.state)
        finally:
            os.close(reader)
        try:
            self._status = wait_ready(self.layout, self._supervisor, self._watch)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the system and return when every process of it is gone."""
        self._end()

    @property
    def status(self) -> Status:
        """What the supervisor last wrote: processes, ports, notes."""
        status = statuses.read(self.layout) or self._status
        if status is None:
            raise SystemStartError("the system is not started")
        return status

    @property
    def edge_url(self) -> str:
        """Base URL of REST and gRPC."""
        return self._url("edge")

    @property
    def webhooks_url(self) -> str:
        """Base URL of the webhook routes."""
        return self._url("webhooks")

    @property
    def metrics_url(self) -> str:
        """URL of the Prometheus text."""
        return self._url("metrics") + "/metrics"

    @property
    def api_key(self) -> str:
        """The local API key of the default organisation."""
        return self.layout.api_key.read_text(encoding="ascii").strip()

    @property
    def startup_seconds(self) -> float:
        """Seconds from the supervisor's start until everything was ready."""
        return self.status.startup_seconds or 0.0

    def _url(self, port: str) -> str:
        url = self.status.url(port)
        if url is None:
            raise SystemStartError(f"this system serves no {port} port")
        return url

    def _end(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)  # the supervisor stops when this end closes
            self._lifeline = None
        if self._supervisor is not None:
            try:
                self._supervisor.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()
                self._supervisor.wait()
                status = statuses.read(self.layout)
                end_leftovers(status.children if status else [])
            self._supervisor = None
