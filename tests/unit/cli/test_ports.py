"""Free ports, and who has one that is taken."""

import os
import socket
from pathlib import Path

import pytest

from cli.supervisor.options import Options, parse
from cli.supervisor.plan import application_environment, choose_ports
from cli.supervisor.ports import PortTakenError, find_free, find_listener, is_free, require_free


def test_a_listener_is_found_with_pid_and_command() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        listener = find_listener(port)
        assert listener
        assert listener.pid == os.getpid()
        assert listener.uid == os.getuid()
        assert listener.command
        with pytest.raises(
            PortTakenError, match=rf"port {port} \(edge\) is taken: process {os.getpid()} has it \(.+\); do it"
        ):
            require_free(port, "edge", "do it")
    assert is_free(port)
    assert find_listener(port) is None


def test_free_ports_differ_and_can_be_bound() -> None:
    found: set[int] = set()
    for _ in range(20):
        port = find_free(found)
        assert port not in found
        found.add(port)


def test_a_taken_metrics_port_is_moved_and_said() -> None:
    options = Options(Path("/x"), port=find_free(set()), webhooks_port=find_free(set()))
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        chosen = choose_ports(options, {"LINTEL_METRICS_PORT": str(taken)}, direct=False, edge=True)
    assert chosen.metrics != taken
    assert chosen.notes == [f"port {taken} is taken, so metrics are on {chosen.metrics}"]
    assert "grpc" not in chosen.named()


@pytest.mark.parametrize("value", ["x", "0", "65536", "-1", "3001 "])
def test_a_port_that_is_none_is_refused_by_name(value: str) -> None:
    options = Options(Path("/x"))
    with pytest.raises(ValueError, match="API_PORT must be a port number"):
        choose_ports(options, {"API_PORT": value}, direct=False, edge=True)


def test_without_envoy_the_gateway_is_told_its_ports() -> None:
    path = Path("/x")
    chosen = choose_ports(Options(path, free_ports=True), {}, direct=True, edge=True)
    told = application_environment({"API_LOG_PRETTY": "true"}, path, path, chosen, direct=True, dsn="postgresql://x")
    assert told["LINTEL_EDGE"] == "direct"
    assert told["LINTEL_GRPC_PORT"] == str(chosen.grpc)
    assert told["API_LOG_PRETTY"] == "false"
    assert told["DATABASE_URL"] == "postgresql://x"


def test_options_survive_the_command_line() -> None:
    options = Options(Path("/x y"), ("auth", "gateway"), 1, 2, free_ports=True, lifeline=7)
    assert parse(options.arguments()) == options
