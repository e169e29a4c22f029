"""What the supervisor's children are told: ports, engines and the application's environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cli.layout import ROOT
from cli.supervisor import options as defaults
from cli.supervisor import ports
from cli.supervisor.options import Options

ANOTHER_EDGE = "choose another with `--port` (or API_PORT), or end that process"
ANOTHER_WEBHOOKS = "choose another with `--webhooks-port` (or API_WEBHOOKS_PORT), or end that process"


@dataclass
class Ports:
    """The TCP ports in use; `legacy` and `grpc` are None where they are not served."""

    edge: int
    webhooks: int
    metrics: int
    legacy: int | None = None
    grpc: int | None = None
    notes: list[str] = field(default_factory=list)

    def named(self) -> dict[str, int]:
        """Return the ones that are served, by name."""
        every = {
            "edge": self.edge,
            "webhooks": self.webhooks,
            "metrics": self.metrics,
            "legacy": self.legacy,
            "grpc": self.grpc,
        }
        return {name: port for name, port in every.items() if port is not None}


def external_postgres(environment: Mapping[str, str]) -> bool:
    """Tell whether the environment names a Postgres of its own (contract section 7)."""
    return any(environment.get(name) for name in ("DATABASE_URL", "DATABASE_URL_FILE", "API_PG_DB_HOST"))


def external_broker(environment: Mapping[str, str]) -> bool:
    """Tell whether the environment names a RabbitMQ; then each role can have a process of its own."""
    return any(environment.get(name) for name in ("API_RABBITMQ_URI", "API_RABBITMQ_URI_FILE"))


def external_documents(environment: Mapping[str, str]) -> bool:
    """Tell whether the environment names a MongoDB, which then keeps the artefacts."""
    return any(environment.get(name) for name in ("MONGODB_URI", "MONGODB_URI_FILE", "API_MG_DB_HOST"))


def bind_address(environment: Mapping[str, str]) -> str:
    """Return the address the edge listens on: loopback unless LINTEL_BIND_ADDRESS says otherwise."""
    return environment.get("LINTEL_BIND_ADDRESS") or ports.LOOPBACK


def reachable_address(bound: str) -> str:
    """Return the address a client on this machine uses for a bound one."""
    return {"0.0.0.0": ports.LOOPBACK, "::": "::1"}.get(bound, bound)  # noqa: S104 -- read, not bound


def choose_ports(options: Options, environment: Mapping[str, str], *, direct: bool, edge: bool) -> Ports:
    """Settle every port; raises PortTakenError for one that must be had and is not, ValueError for a bad number."""
    if options.free_ports:
        taken: set[int] = set()
        for _ in range(4):
            taken.add(ports.find_free(taken))
        first, second, third, fourth = sorted(taken)
        return Ports(first, second, third, grpc=fourth if direct else None)
    chosen = Ports(
        options.port or _number(environment, "API_PORT", defaults.EDGE_PORT),
        options.webhooks_port or _number(environment, "API_WEBHOOKS_PORT", defaults.WEBHOOKS_PORT),
        _number(environment, "LINTEL_METRICS_PORT", defaults.METRICS_PORT),
    )
    address = bind_address(environment)
    if edge:
        ports.require_free(chosen.edge, "edge", ANOTHER_EDGE, address)
        ports.require_free(chosen.webhooks, "webhooks", ANOTHER_WEBHOOKS, address)
    if not ports.is_free(chosen.metrics):
        other = ports.find_free({chosen.edge, chosen.webhooks})
        chosen.notes.append(f"port {chosen.metrics} is taken, so metrics are on {other}")
        chosen.metrics = other
    if direct and edge:
        chosen.grpc = _number(environment, "LINTEL_GRPC_PORT", defaults.DIRECT_GRPC_PORT)
        ports.require_free(chosen.grpc, "gRPC", "set LINTEL_GRPC_PORT to another, or end that process", address)
    if edge and chosen.edge == defaults.EDGE_PORT and ports.is_free(defaults.LEGACY_EDGE_PORT, address):
        chosen.legacy = defaults.LEGACY_EDGE_PORT
    return chosen


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name, "")
    if not value:
        return default
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise ValueError(f"{name} must be a port number between 1 and 65535, not {value!r}")
    return int(value)


def python_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with which a Python child finds our packages and nothing of the directory it runs in."""
    ours = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos" / "gen")]),
        "PYTHONSAFEPATH": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return {**environment, **ours}


def application_environment(
    environment: Mapping[str, str],
    state: Path,
    sockets: Path,
    chosen: Ports,
    *,
    direct: bool,
    dsn: str | None,
    metrics: int | None = None,
) -> dict[str, str]:
    """Return what `python -m services` reads; logs are JSON always, since `lintel logs` makes them readable.

    `metrics` is the process's own port for them, where there are several processes.
    """
    told = {
        "LINTEL_STATE_DIR": str(state),
        "LINTEL_RUN_DIR": str(sockets),
        "LINTEL_EDGE": "direct" if direct else "envoy",
        "LINTEL_METRICS_PORT": str(metrics or chosen.metrics),
        "API_PORT": str(chosen.edge),
        "API_WEBHOOKS_PORT": str(chosen.webhooks),
        "API_LOG_PRETTY": "false",
        "LINTEL_PUBLIC_URL": environment.get("LINTEL_PUBLIC_URL") or f"http://{ports.LOOPBACK}:{chosen.edge}",
        "LINTEL_ALLOW_LOOPBACK_MODELS": "true",
    }
    if chosen.grpc is not None:
        told["LINTEL_GRPC_PORT"] = str(chosen.grpc)
    if dsn is not None:
        told["DATABASE_URL"] = dsn
    return python_environment({**environment, **told})
