"""What one supervisor is asked to run, as its command line and as values."""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

ROLES = ("auth", "orgs", "llm_gateway", "webhooks", "webhooks_worker", "review", "review_worker", "gateway")
EDGE_PORT = 3001
WEBHOOKS_PORT = 3332
LEGACY_EDGE_PORT = 3331
DIRECT_GRPC_PORT = 3002
METRICS_PORT = 9464


@dataclass(frozen=True)
class Options:
    """Ports of None come from the environment or the defaults; `free_ports` takes any that are free instead."""

    state: Path
    roles: tuple[str, ...] = ROLES
    port: int | None = None
    webhooks_port: int | None = None
    free_ports: bool = False
    lifeline: int | None = field(default=None, compare=False)

    def arguments(self) -> list[str]:
        """Return the command line that `parse` reads back."""
        words = ["--state", str(self.state)]
        if self.port is not None:
            words += ["--port", str(self.port)]
        if self.webhooks_port is not None:
            words += ["--webhooks-port", str(self.webhooks_port)]
        if self.free_ports:
            words.append("--free-ports")
        if self.lifeline is not None:
            words += ["--lifeline", str(self.lifeline)]
        return [*words, *self.roles]


def parse(arguments: list[str]) -> Options:
    """Read the supervisor's command line; ends the process with status 2 on a wrong one."""
    parser = argparse.ArgumentParser(prog="python -m cli.supervisor", description="Run the embedded system.")
    parser.add_argument("--state", type=Path, required=True, help="state directory")
    parser.add_argument("--port", type=int)
    parser.add_argument("--webhooks-port", type=int)
    parser.add_argument("--free-ports", action="store_true")
    parser.add_argument("--lifeline", type=int, help="descriptor of a pipe; the system stops when its other end closes")
    parser.add_argument("roles", nargs="*", metavar="ROLE")
    read = parser.parse_args(arguments)
    unknown = [role for role in read.roles if role not in ROLES]
    if unknown:
        parser.error(f"unknown role {unknown[0]!r}; roles are {', '.join(ROLES)}")
    return Options(
        read.state, tuple(read.roles) or ROLES, read.port, read.webhooks_port, read.free_ports, read.lifeline
    )
