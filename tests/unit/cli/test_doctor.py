"""`lintel doctor` on a machine: its own checks, its form, and its status."""

import json
import socket
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli.commands.doctor import doctor
from cli.doctor import machine
from cli.doctor.finding import Finding, from_json, table
from cli.layout import Layout


def test_the_table_says_what_to_do_below_each_line() -> None:
    text = table([Finding("git", "ok", "2.39"), Finding("postgres", "fail", "gone", "Start it.")])
    assert click.unstyle(text).splitlines() == [
        "ok    git       2.39",
        "fail  postgres  gone",
        "                → Start it.",
    ]


def test_a_state_that_is_none_is_a_failure() -> None:
    assert from_json({"name": "x", "state": "fine", "detail": "d"}).state == "fail"


def test_secrets_that_others_may_read(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.secrets.write_text("A=b\n")
    layout.secrets.chmod(0o644)
    assert machine._secrets(layout).state == "fail"
    layout.secrets.chmod(0o600)
    assert machine._secrets(layout).state == "ok"


def test_a_directory_that_others_may_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert machine._state(Layout(tmp_path)).state == "fail"
    assert machine._state(Layout(tmp_path / "none")).state == "ok"


def test_a_taken_port_is_named_with_its_variable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        found = machine._system(None, {"API_PORT": str(port)})
    assert found.state == "fail"
    assert str(port) in found.detail
    assert "API_PORT" in found.mend


def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((100 << 20, "fail"), (1 << 30, "warn"), (9 << 30, "ok")):
        monkeypatch.setattr(machine, "LEAST_ROOM", 512 << 20)
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: type("Usage", (), {"free": free}))
        assert machine._room(Layout(tmp_path / "a" / "b")).state == state


def test_nothing_set_up_is_fine_and_readable_by_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINTEL_STATE_DIR", str(tmp_path / "state"))
    for name, port in (("API_PORT", free_port()), ("API_WEBHOOKS_PORT", free_port())):
        monkeypatch.setenv(name, str(port))
    done = CliRunner().invoke(doctor, ["--format", "json"])
    found = json.loads(done.stdout)
    assert {each["state"] for each in found} <= {"ok", "warn"}, found
    assert {each["name"] for each in found} >= {"python", "git", "state", "disk", "settings", "postgres", "model"}
    assert not [each for each in found if "not valid" in each["detail"]], "what `lintel up` makes is not missing"
    assert done.exit_code == 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
