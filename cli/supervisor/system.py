"""The children of one embedded system and what starting each of them takes."""

import selectors
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cli.engines import envoy
from cli.engines.postgres import STOP_LADDER, PostgresEngine
from cli.engines.spawn import Command
from cli.layout import Layout, discard_sockets
from cli.supervisor.child import Child, Ladder
from cli.supervisor.logfile import RotatingLog
from cli.supervisor.options import ROLES, Options
from cli.supervisor.plan import (
    Ports,
    application_environment,
    bind_address,
    choose_ports,
    external_broker,
    external_documents,
    external_postgres,
    python_environment,
    reachable_address,
)
from cli.supervisor.ports import find_free
from cli.supervisor.status import Status
from deploy.envoy.render import EnvoySettings, render

DATABASE = "lintel"
ENVOY_ADMIN = "envoy-admin.sock"  # in the directory of the roles' sockets; named by deploy/envoy/render.py
APPLICATION_ROLE = "lintel"  # owns nothing; made by the migrations
_DRAINED: Ladder = [(signal.SIGTERM, 12.0), (signal.SIGKILL, 10.0)]  # a role drains for at most 10 s
LADDERS: dict[str, Ladder] = {
    "postgres": STOP_LADDER,
    **dict.fromkeys(("application", *ROLES), _DRAINED),
    "envoy": [(signal.SIGTERM, 6.0), (signal.SIGKILL, 5.0)],
}
TASK_LADDER: Ladder = [(signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)]


class System:
    """Everything one supervisor owns; `environment` is the resolved one of the application."""

    def __init__(
        self, options: Options, layout: Layout, environment: Mapping[str, str], selector: selectors.BaseSelector
    ) -> None:
        self.options = options
        self.layout = layout
        self.children: list[Child] = []
        self.sockets = layout.sockets()
        self.address = reachable_address(bind_address(environment))
        self.engine = None if external_postgres(environment) else PostgresEngine(layout.postgres)
        self.has_edge = "gateway" in options.roles
        self.is_whole = set(options.roles) >= set(ROLES)
        self.envoy_binary = (
            envoy.find_binary() if self.has_edge and environment.get("LINTEL_EDGE") != "direct" else None
        )
        self.direct = self.envoy_binary is None
        self.ports: Ports = choose_ports(options, environment, direct=self.direct, edge=self.has_edge)
        self._environment = environment
        self._selector = selector
        self._logs: list[RotatingLog] = []
        self.metrics: dict[str, int] = {}  # ports by role, where each has a process of its own

    def describe(self, status: Status) -> None:
        """Fill in what is known before anything runs."""
        status.roles = list(self.options.roles)
        chosen = {"edge": self.options.port, "webhooks": self.options.webhooks_port}
        status.chosen_ports = {name: port for name, port in chosen.items() if port is not None}
        status.ports = self.ports.named() if self.has_edge else {"metrics": self.ports.metrics}
        status.edge = ("direct" if self.direct else "envoy") if self.has_edge else "none"
        status.sockets = str(self.sockets)
        status.address = self.address
        status.notes += self.ports.notes
        if self.has_edge and not self.is_whole:
            missing = ", ".join(role for role in ROLES if role not in self.options.roles)
            status.notes.append(f"without {missing}, so /health says down, and what they serve answers 503")
        if external_broker(self._environment):
            status.notes.append("RabbitMQ is the one the environment names, so each role is a process of its own")
        if external_documents(self._environment):
            status.notes.append("MongoDB is the one the environment names, and keeps the artefacts")
        status.versions["python"] = sys.version.split()[0]
        if self.envoy_binary:
            status.versions["envoy"] = envoy.version(self.envoy_binary)
        elif self.has_edge and self._environment.get("LINTEL_EDGE") != "direct":
            status.notes.append(f"no Envoy for this platform: the gateway listens itself, gRPC on {self.ports.grpc}")

    def postgres(self) -> Child:
        """Return the child that runs the embedded Postgres."""
        engine = self.engine
        if engine is None:
            raise RuntimeError("an external Postgres is configured")

        def command() -> Command:
            engine.prepare()
            return engine.command()

        return self.child("postgres", command)

    def applications(self) -> list[Child]:
        """Return the children that run the roles: one for all, or with a broker between them one for each."""
        dsn = self.dsn(APPLICATION_ROLE)
        if not external_broker(self._environment):
            return [self.python("application", ["services", *self.options.roles], dsn)]
        taken = set(self.ports.named().values())
        made = []
        for role in self.options.roles:
            port = self.ports.metrics if role == self.options.roles[-1] else find_free(taken)
            taken.add(port)
            self.metrics[role] = port
            made.append(self.python(role, ["services", role], dsn, metrics=port))
        return made

    def migrations(self) -> Child:
        """Return the child that brings the schema up to date and ends."""
        return self.python("migrations", ["migrations", "run"], None)

    def bootstrap(self) -> Child:
        """Return the child that makes the default organisation and prints a new API key to its output.

        In the embedded database a key that was there before ends: its text, known only to the file that is gone,
        can't be had again. In another database it may be in use elsewhere and stays.
        """
        words = ["services.bootstrap", *(["--rotate"] if self.engine else [])]
        return self.python("bootstrap", words, self.dsn(APPLICATION_ROLE))

    def edge(self) -> Child:
        """Return the child that runs Envoy with a configuration rendered for these ports."""
        binary = self.envoy_binary
        if binary is None:
            raise RuntimeError("the gateway is its own edge here")
        settings = EnvoySettings(
            self.sockets,
            self.ports.edge,
            self.ports.webhooks,
            self.ports.legacy,
            bind_address(self._environment),
            is_production=self._environment.get("API_NODE_ENV") == "production",
        )
        self.layout.envoy.write_text(render(settings), encoding="utf-8")
        return self.child("envoy", lambda: envoy.command(binary, self.layout.envoy))

    def begin_drain(self) -> bool:
        """Ask Envoy to take nothing new; False when there is no Envoy to ask."""
        return envoy.start_drain(self.sockets / ENVOY_ADMIN)

    def is_drained(self) -> bool:
        """Tell whether no request is inside Envoy any more."""
        return envoy.active_requests(self.sockets / ENVOY_ADMIN) == 0

    def python(self, name: str, words: list[str], dsn: str | None, *, metrics: int | None = None) -> Child:
        """Return a child that runs one of our modules with the application's environment."""
        environment = application_environment(
            self._environment,
            self.layout.state,
            self.sockets,
            self.ports,
            direct=self.direct,
            dsn=dsn,
            metrics=metrics,
        )
        environment.pop("LINTEL_MIGRATIONS_URL", None)  # the owner's rights are for the migrations alone
        if name == "migrations" and self.engine is not None:
            environment["LINTEL_MIGRATIONS_URL"] = self.engine.dsn(DATABASE)
        command = Command(
            [sys.executable, "-m", *words], env=python_environment(environment), death_signal=signal.SIGKILL
        )
        return self.child(name, lambda: command, keep_output=name == "bootstrap")

    def child(self, name: str, command: Callable[[], Command], *, keep_output: bool = False) -> Child:
        """Make a child with a log of its own and remember it in starting order."""
        log = RotatingLog(self.layout.logs / f"{name}.log")
        made = Child(name, command, log, self._selector, LADDERS.get(name, TASK_LADDER), keep_output=keep_output)
        self._logs.append(log)
        self.children.append(made)
        return made

    def forget(self, child: Child) -> None:
        """Drop a child that did its one task."""
        self.children.remove(child)

    def dsn(self, user: str) -> str | None:
        """Return the embedded database's DSN for a user, None when the environment names another."""
        return self.engine.dsn(DATABASE, user) if self.engine else None

    def application_is_ready(self) -> bool:
        """Ask the gateway whether everything serves; where some roles do not run here, the sockets of those that do."""
        if self.has_edge and self.direct:
            return self.edge_is_ready()
        if self.has_edge and self.is_whole:
            return answers(str(self.sockets / "gateway.sock"))
        return all(accepts(self.sockets / f"{role}.sock") for role in self.options.roles if not role.endswith("worker"))

    def edge_is_ready(self) -> bool:
        """Ask the gateway at the public port whether it serves, which it does not say while a role is missing."""
        return answers((self.address, self.ports.edge), "/health/ready" if self.is_whole else "/health/live")

    def close(self) -> None:
        """Let go of logs, descriptors and private directories; the children must be gone."""
        for log in self._logs:
            log.close()
        if self.engine:
            self.engine.release()
        discard_sockets(self.sockets)


def answers(address: str | tuple[str, int], path: str = "/health/ready") -> bool:
    """Tell whether an HTTP server at this TCP address or unix socket answers the path with 200."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            client.connect(address)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return client.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def accepts(path: Path) -> bool:
    """Tell whether something accepts connections on this unix socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            client.connect(str(path))
    except OSError:
        return False
    return True
