"""The supervisor: starts Postgres, migrations, the application and Envoy in this order, keeps them, stops them."""

import fcntl
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cli import environment as environments
from cli.engines import processes
from cli.engines.accounts import EngineError
from cli.layout import Layout, discard_sockets, write_private
from cli.supervisor import status as statuses
from cli.supervisor.child import Child, end_leftovers
from cli.supervisor.journal import Journal
from cli.supervisor.options import Options
from cli.supervisor.ports import PortTakenError
from cli.supervisor.status import Status
from cli.supervisor.system import DATABASE, System

READY_SECONDS = 90.0
LOCK_SECONDS = 2.0
DRAIN_SECONDS = 5.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StartError(Exception):
    """The system could not be started; the message says which part, why and where its log is."""


class StopRequestedError(Exception):
    """Somebody asked the supervisor to stop."""


class Supervisor:
    """Runs one embedded system from `run`'s start to its end; single-threaded, standard library only."""

    def __init__(self, options: Options, process_environment: Mapping[str, str], working_directory: Path) -> None:
        self._options = options
        self._layout = Layout(options.state)
        self._process_environment = process_environment
        self._working_directory = working_directory
        self._selector = selectors.DefaultSelector()
        self._stop_requested = False
        self._began = time.monotonic()
        me = processes.identify(os.getpid())
        self._status = Status(os.getpid(), me.start_time if me else 0, statuses.boot_id(), started_at=time.time())
        self._system: System | None = None
        self._journal: Journal | None = None

    def run(self) -> int:
        """Run until asked to stop; returns 0 then, and 1 when the system could not be started."""
        self._layout.make()
        lock = self._take_lock()
        if lock is None:
            return 1
        self._journal = Journal(self._layout.logs / "supervisor.log")
        self._watch_signals()
        try:
            self._boot()
            self._serve()
        except StopRequestedError:
            pass
        except (
            StartError,
            EngineError,
            PortTakenError,
            environments.EnvironmentFileError,
            ValueError,
            OSError,
        ) as error:
            self._status.error = str(error)
            self._say("error", "the system could not be started", reason=str(error))
        self._stop()
        os.close(lock)
        return 1 if self._status.error else 0

    def _boot(self) -> None:
        self._clear_leftovers()
        self._step("reading the configuration")
        resolved = environments.resolve(self._process_environment, self._working_directory, self._layout)
        made = environments.generate_missing(resolved, self._layout)
        self._status.new_secrets = sorted(made)
        system = self._system = System(self._options, self._layout, {**resolved, **made}, self._selector)
        system.describe(self._status)
        self._start_database(system)
        if system.engine is None:
            self._step("asking the database")
            self._make_api_key(system)  # tells at once whether the database can be used
        self._step("starting the application")
        applications = system.applications()
        for application in applications:
            self._start(application)
        if system.metrics:
            ports = ", ".join(f"{role} {port}" for role, port in system.metrics.items())
            self._status.notes.append(f"each role has metrics of its own: {ports}")
        if system.engine is not None and not self._layout.api_key.exists():
            self._make_api_key(system)
        self._until(system.application_is_ready, "the application", applications)
        if system.has_edge and not system.direct:
            self._step("starting Envoy")
            edge = system.edge()
            self._start(edge)
            self._until(system.edge_is_ready, "Envoy", [edge, *applications])
        self._status.startup_seconds = round(time.monotonic() - self._began, 2)
        self._status.phase = "ready"
        self._step("")
        self._say("info", "ready", seconds=self._status.startup_seconds)

    def _start_database(self, system: System) -> None:
        if system.engine is None:
            self._status.notes.append(
                "Postgres is the one the environment names; `./lintel migrate run` keeps its schema"
            )
            return
        first = not (system.engine.data / "PG_VERSION").exists()
        self._step("making the database" if first else "starting Postgres")
        postgres = system.postgres()
        self._start(postgres)
        self._until(system.engine.is_ready, "Postgres", [postgres])
        self._status.versions["postgres"] = system.engine.version
        self._status.postgres_dsn = system.engine.dsn(DATABASE)
        system.engine.ensure_database(DATABASE)
        self._step("bringing the schema up to date")
        self._finish(system, system.migrations())

    def _make_api_key(self, system: System) -> None:
        """Store what the bootstrap prints; it never passes through a log."""
        key = self._finish(system, system.bootstrap()).decode().strip()
        if key:
            write_private(self._layout.api_key, key + "\n")
        elif system.engine is None and not self._layout.api_key.exists():
            self._status.notes.append("this database has a local API key already; set LINTEL_TOKEN to use it here")
        elif system.engine is not None:
            raise StartError("the bootstrap printed no API key")

    def _serve(self) -> None:
        """Restart what dies until asked to stop."""
        while True:
            due = [child.restart_at for child in self._children() if child.restart_at is not None]
            wait = min([max(0.0, at - time.monotonic()) for at in due], default=3600.0)
            self._tick(wait)
            if self._stop_requested:
                raise StopRequestedError
            for child in self._children():
                self._keep(child)

    def _keep(self, child: Child) -> None:
        ended = child.reap()
        if ended is not None:
            delay = child.schedule_restart()
            self._say("warning", "child ended, will restart", child=child.status.name, how=ended, seconds=delay)
            self._write()
        elif child.restart_at is not None and child.restart_at <= time.monotonic():
            try:
                self._start(child)
            except (EngineError, OSError) as error:
                delay = child.schedule_restart()
                self._say("error", "restart failed", child=child.status.name, reason=str(error), seconds=delay)

    def _start(self, child: Child) -> None:
        child.start()
        self._say("info", "child started", child=child.status.name, pid=child.status.pid)
        self._write()

    def _finish(self, system: System, task: Child) -> bytes:
        """Run a task to its end and return what it wrote to stdout; raises StartError when it fails."""
        self._start(task)
        while (ended := task.reap()) is None:
            self._tick(processes.POLL_SECONDS)
            self._check_stop()
        self._tick(0)
        system.forget(task)
        if ended != "exit status 0":
            raise StartError(f"{task.status.name} failed ({ended}); {task.log.hint()}")
        return task.output()

    def _until(self, condition: Callable[[], bool], what: str, needed: list[Child]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        ask_at = 0.0
        while True:
            # Not at each turn: a child that logs the question would wake us to ask it again.
            if time.monotonic() >= ask_at:
                if condition():
                    return
                ask_at = time.monotonic() + processes.POLL_SECONDS * 2
            for child in needed:
                ended = child.reap()
                if ended is not None:
                    self._tick(0)
                    raise StartError(f"{child.status.name} ended while starting ({ended}); {child.log.hint()}")
            if time.monotonic() > deadline:
                raise StartError(f"{what} was not ready within {READY_SECONDS:.0f} s; {needed[0].log.hint()}")
            self._tick(max(0.0, ask_at - time.monotonic()))
            self._check_stop()

    def _stop(self) -> None:
        """End the children in the reverse order of their start and leave the last word in the status file."""
        failed = self._status.error is not None
        self._status.phase = "stopping"
        if self._system is not None:
            for child in reversed(self._system.children):
                self._step(f"stopping {child.status.name}")
                if child.status.name == "envoy" and child.running:
                    self._drain(self._system)
                child.stop(self._tick)
                self._say("info", "child stopped", child=child.status.name, how=child.status.last_exit)
            self._system.close()
        self._status.phase = "failed" if failed else "stopped"
        self._step("")

    def _drain(self, system: System) -> None:
        """Let the requests inside the edge come to their end, for a bounded time."""
        deadline = time.monotonic() + DRAIN_SECONDS
        if system.begin_drain():
            while not system.is_drained() and time.monotonic() < deadline:
                self._tick(processes.POLL_SECONDS * 5)

    def _clear_leftovers(self) -> None:
        earlier = statuses.read(self._layout)
        if earlier is not None:
            discard_sockets(Path(earlier.sockets))
        if earlier is not None and earlier.boot_id == self._status.boot_id:
            self._step("ending what an earlier run left")
            for name in end_leftovers(earlier.children):
                self._say("warning", "ended a leftover of an earlier run", child=name)

    def _children(self) -> list[Child]:
        return self._system.children if self._system else []

    def _tick(self, timeout: float) -> None:
        """Wait at most so many seconds for output, a signal or the lifeline, and handle what came."""
        for key, _ in self._selector.select(timeout):
            key.data(key.fileobj)

    def _check_stop(self) -> None:
        if self._stop_requested:
            raise StopRequestedError

    def _watch_signals(self) -> None:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._wakeup = (reader, writer)
        self._selector.register(reader, selectors.EVENT_READ, lambda source: source.recv(4096))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in STOP_SIGNALS:
            signal.signal(number, self._request_stop)
        if self._options.lifeline is not None:
            self._selector.register(self._options.lifeline, selectors.EVENT_READ, self._lifeline_closed)

    def _request_stop(self, *_: object) -> None:
        self._stop_requested = True

    def _lifeline_closed(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)
        self._stop_requested = True

    def _take_lock(self) -> int | None:
        descriptor = os.open(self._layout.lock, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    return None
                time.sleep(processes.POLL_SECONDS)

    def _step(self, text: str) -> None:
        self._status.step = text
        self._write()

    def _write(self) -> None:
        self._status.children = [child.status for child in self._children()]
        try:
            statuses.write(self._layout, self._status)
        except OSError as error:
            if self._status.phase == "starting":
                raise
            self._say("error", "the status file can't be written", reason=str(error))  # and the system goes on

    def _say(self, level: str, event: str, **fields: object) -> None:
        if self._journal is not None:
            self._journal.write(level, event, fields)
