"""Starting, asking and stopping the embedded system by its command line."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.engines import processes
from cli.engines.postgres import PostgresEngine
from cli.supervisor.ports import find_free
from cli.supervisor.system import answers
from tests.e2e.supervisor.helpers import CommandLine, wait_until
from tests.support.postgres import Database


@pytest.fixture
def command_line(tmp_path: Path) -> Iterator[CommandLine]:
    made = CommandLine(tmp_path / "state", tmp_path)
    yield made
    made.run("down")


def test_up_second_up_status_logs_restart_down_and_clean(command_line: CommandLine) -> None:
    first = command_line.up()
    assert first.returncode == 0, first.stderr
    assert f"http://127.0.0.1:{command_line.port}" in first.stdout
    assert "GITHUB_WEBHOOK_SECRET" in first.stdout
    assert command_line.serves()
    assert command_line.layout.api_key.stat().st_mode & 0o777 == 0o600
    assert command_line.layout.secrets.stat().st_mode & 0o777 == 0o600
    secrets = command_line.layout.secrets.read_text()
    pid = command_line.status.pid

    second = command_line.up()
    assert second.returncode == 0
    assert "runs already" in second.stdout
    assert command_line.status.pid == pid

    told = json.loads(command_line.run("status", "--format", "json").stdout)
    assert told["running"] is True
    assert told["phase"] == "ready"
    assert {process["name"] for process in told["processes"]} == {"supervisor", "postgres", "application", "envoy"}
    assert all(process["rssBytes"] > 0 for process in told["processes"])

    assert "database system is ready to accept connections" in command_line.run("logs").stdout
    only = command_line.run("logs", "supervisor", "--level", "info").stdout.splitlines()
    assert only
    assert all(" supervisor " in line for line in only)

    restarted = command_line.run("restart")
    assert restarted.returncode == 0, restarted.stderr
    assert command_line.status.pid != pid
    assert command_line.serves()

    everything = command_line.everything()
    assert len(everything) > 6
    stopped = command_line.run("down")
    assert stopped.returncode == 0, stopped.stderr
    assert not [identity for identity in everything if processes.is_running(identity)]
    assert command_line.run("status").returncode == 1
    assert command_line.layout.secrets.read_text() == secrets

    assert command_line.run("clean", typed="n\n").returncode == 1
    assert command_line.layout.postgres.exists()
    assert command_line.run("clean", "--yes").returncode == 0
    assert not command_line.layout.state.exists()


def test_some_roles_are_ready_without_the_others(command_line: CommandLine) -> None:
    done = command_line.up("orgs", "auth", "gateway")
    assert done.returncode == 0, done.stderr
    assert "without llm_gateway, webhooks, webhooks_worker, review, review_worker" in done.stdout
    assert command_line.status.phase == "ready"
    assert answers(("127.0.0.1", command_line.port), "/docs")
    assert not command_line.serves()


def test_a_taken_port_says_which_process_has_it_and_what_to_do(command_line: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taker:
        command_line.port = taker.getsockname()[1]
        failed = command_line.up()
    assert failed.returncode == 1
    assert f"port {command_line.port} (edge) is taken: process {os.getpid()} has it" in failed.stderr
    assert "--port" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not processes.is_running(command_line.status.identity)


def test_a_wrong_setting_is_one_sentence_and_leaves_nothing_running(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LINTEL_METRICS_PORT=metrics\n")
    failed = command_line.up()
    assert failed.returncode == 1
    assert "LINTEL_METRICS_PORT must be a port number between 1 and 65535, not 'metrics'" in failed.stderr
    (tmp_path / ".env").write_text("what is this\n")
    assert "line 1: expected NAME=value" in command_line.up().stderr
    assert command_line.run("up", "cook").returncode == 2
    assert command_line.run("logs", "cook").returncode == 2


def test_two_ups_at_once_make_one_system_even_where_the_state_path_is_long(tmp_path: Path) -> None:
    command_line = CommandLine(tmp_path / ("d" * 90) / "state", tmp_path)
    ports = ["--port", str(command_line.port), "--webhooks-port", str(command_line.webhooks_port)]
    try:
        both = [command_line.start("up", "--detach", *ports) for _ in range(2)]
        assert [process.wait(100) for process in both] == [0, 0]
        assert command_line.serves()
    finally:
        command_line.run("down")
    assert not Path(command_line.status.sockets).exists()


def test_an_external_postgres_and_no_envoy(tmp_path: Path, postgres_server: PostgresEngine, database: Database) -> None:
    grpc_port = find_free(set())
    env = {"DATABASE_URL": database.app_dsn, "LINTEL_EDGE": "direct", "LINTEL_GRPC_PORT": str(grpc_port)}
    command_line = CommandLine(tmp_path / "state", tmp_path, env)
    try:
        done = command_line.up()
        assert done.returncode == 0, done.stderr
        assert "no Envoy, the gateway listens itself" in done.stdout
        assert f"127.0.0.1:{grpc_port}" in done.stdout
        assert command_line.serves()
        assert [child.name for child in command_line.status.children] == ["application"]
        assert not command_line.layout.postgres.exists()
        assert command_line.layout.api_key.read_text().strip()
    finally:
        command_line.run("down")
    assert postgres_server.is_ready()


@pytest.mark.parametrize("url", ["postgresql://u:secret-word@127.0.0.1:1/d", "mysql://u:secret-word@h/d"])
def test_an_external_postgres_that_cannot_be_used_is_told_at_once(tmp_path: Path, url: str) -> None:
    command_line = CommandLine(tmp_path / "state", tmp_path, {"DATABASE_URL": url})
    command_line.layout.make()
    command_line.layout.api_key.write_text("lintel_of_an_earlier_start\n")
    done = command_line.up()
    assert done.returncode == 1
    assert "The database does not answer." in done.stderr or "must begin with postgresql://" in done.stderr
    assert "secret-word" not in done.stdout + done.stderr
    assert command_line.layout.api_key.read_text() == "lintel_of_an_earlier_start\n"


def test_ending_the_terminal_ends_the_foreground_system(command_line: CommandLine) -> None:
    ports = ["--port", str(command_line.port), "--webhooks-port", str(command_line.webhooks_port)]
    foreground = command_line.start("up", *ports)
    wait_until(command_line.is_ready, "the system is ready")
    everything = command_line.everything()
    foreground.send_signal(signal.SIGINT)
    assert foreground.wait(60) == 0
    assert not [identity for identity in everything if processes.is_running(identity)]

    foreground = command_line.start("up", *ports)
    wait_until(lambda: command_line.is_ready() and command_line.serves(), "the system is ready again")
    everything = command_line.everything()
    foreground.kill()
    foreground.wait()
    wait_until(lambda: not any(map(processes.is_running, everything)), "nothing runs after the terminal is gone")
