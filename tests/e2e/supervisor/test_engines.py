"""`lintel up` where the environment names engines: each is used on its own, and roles get processes of their own."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from cli.engines.mongodb import MongoDbEngine
from cli.engines.rabbitmq import RabbitMqEngine
from cli.supervisor.options import ROLES
from tests.e2e.supervisor.helpers import CommandLine, wait_until


@pytest.fixture
def command_line(
    tmp_path: Path, rabbitmq_engine: RabbitMqEngine, mongodb_engine: MongoDbEngine
) -> Iterator[CommandLine]:
    engines = {
        "API_RABBITMQ_URI": rabbitmq_engine.uri,
        "MONGODB_URI": mongodb_engine.uri.replace("/?", "/lintel_up?"),
    }
    made = CommandLine(tmp_path / "state", tmp_path, engines)
    yield made
    made.run("down")


def health(command_line: CommandLine) -> dict[str, str]:
    answer = httpx2.get(f"http://127.0.0.1:{command_line.port}/health", trust_env=False, timeout=10)
    details = answer.json()["details"]
    return {name: details[name]["status"] for name in ("broker", "worker")} | {
        "mongodb": details["database"]["mongodb"]["status"]
    }


def test_with_a_broker_every_role_is_a_process_of_its_own(
    command_line: CommandLine, rabbitmq_engine: RabbitMqEngine
) -> None:
    up = command_line.up()
    assert up.returncode == 0, up.stderr
    assert "RabbitMQ is the one the environment names, so each role is a process of its own" in up.stdout
    assert "MongoDB is the one the environment names" in up.stdout
    told = json.loads(command_line.run("status", "--format", "json").stdout)
    assert [p["name"] for p in told["processes"]] == ["supervisor", "postgres", *ROLES, "envoy"]
    wait_until(lambda: health(command_line) == dict.fromkeys(("broker", "worker", "mongodb"), "up"), "all is up")

    worker = command_line.child("review_worker")
    assert worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: command_line.child("review_worker").restarts == 1, "it is restarted")
    wait_until(lambda: health(command_line)["worker"] == "up", "the worker is up again")

    lines = command_line.run("logs", "review_worker", "--tail", "1000").stdout
    assert "broker connected" in lines
    assert all(" review_worker " in line for line in lines.splitlines())
    assert "password" not in lines
    assert rabbitmq_engine.uri.split("@")[0].rpartition(":")[2] not in command_line.run("logs", "--tail", "5000").stdout
    down = command_line.run("down")
    assert down.returncode == 0, down.stderr
