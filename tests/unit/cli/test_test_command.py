"""`lintel test` where RabbitMQ is missing: a word, an installation, or a failure that says what to do."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.commands.test import test as command
from tests.support.engines import skip_or_fail


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a broker, whose apt-get only notes what it is asked."""
    monkeypatch.setattr("cli.engines.rabbitmq.PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("API_RABBITMQ_URI", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    script = tmp_path / "apt-get"
    script.write_text(f'#!/bin/sh\necho "$RUNLEVEL $*" >> {tmp_path}/asked\n')
    script.chmod(0o755)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--", "--version"])


def test_without_a_broker_its_tests_will_be_skipped_and_that_is_said(machine: Path) -> None:
    done = run()
    assert done.exit_code == 0
    assert "the tests of RabbitMQ will be skipped; set API_RABBITMQ_URI, or install rabbitmq-server" in done.stderr
    assert not (machine / "asked").exists()


@pytest.mark.parametrize("how", ["--install", "CI"])
def test_it_is_installed_when_that_is_asked_for(machine: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "CI":
        monkeypatch.setenv("CI", "true")
    done = run(*(["--install"] if how == "--install" else []))
    assert done.exit_code == 0
    asked = (machine / "asked").read_text().splitlines()
    assert asked == ["1 -q update", "1 -q install --yes --no-install-recommends rabbitmq-server"]


@pytest.mark.parametrize("lack", ["root", "apt-get", "network"])
def test_where_it_can_not_be_installed_the_command_says_what_to_do(
    machine: Path, monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    if lack == "root":
        monkeypatch.setattr("os.geteuid", lambda: 1000)
    elif lack == "apt-get":
        (machine / "apt-get").unlink()
    else:
        (machine / "apt-get").write_text("#!/bin/sh\necho no route >&2; exit 100\n")
    done = run("--install")
    assert done.exit_code == 1
    assert "set API_RABBITMQ_URI, or install rabbitmq-server (Debian: apt-get install rabbitmq-server" in done.stderr
    assert ("no route" in done.stderr) is (lack == "network")


def test_a_broker_of_ones_own_needs_no_installation(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_RABBITMQ_URI", "amqp://somewhere")
    done = run("--install")
    assert (done.exit_code, done.stderr) == (0, "")
    assert not (machine / "asked").exists()


def test_what_is_skipped_elsewhere_fails_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match="needs it"):
        skip_or_fail("needs it")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needs it"):
        skip_or_fail("needs it")
