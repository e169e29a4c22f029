"""Without a running system: one is started, reviews, and leaves nothing; an interrupt ends it as cleanly."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.engines.processes import PROC
from tests.e2e.cli_review.lines import CALCULATOR, command, environment, report, review
from tests.e2e.supervisor.helpers import wait_until
from tests.unit.cli.review.repositories import Made


def processes_of(mark: str) -> list[int]:
    """Pids of processes that carry `mark` in their environment: everything a command started, however far down."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.fixture
def alone() -> Iterator[dict[str, str]]:
    home = Path(tempfile.mkdtemp(prefix="lt-"))  # short: sockets are made below it
    home.chmod(0o755)
    yield environment(home, {"LINTEL_STATE_DIR": str(home / "none")})
    shutil.rmtree(home)


def test_a_system_is_started_for_the_review_and_removed(repository: Made, alone: dict[str, str]) -> None:
    repository.write({"calculator.py": CALCULATOR})
    # What would lead an embedded system to somebody's database must not.
    done = review(repository.path, alone | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "--format", "json")
    assert report(done)["findings"]
    assert list(Path(alone["HOME"]).iterdir()) == []
    assert processes_of(alone["LINTEL_STATE_DIR"].removesuffix("none")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(repository: Made, alone: dict[str, str], number: signal.Signals) -> None:
    repository.write({"calculator.py": CALCULATOR})
    home = Path(alone["HOME"])
    with subprocess.Popen(command(), cwd=repository.path, env=alone, stderr=subprocess.PIPE) as process:
        wait_until(lambda: any(home.glob("lintel-review-*/run/supervisor.json")), "the supervisor writes its status")
        process.send_signal(number)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and b"Traceback" not in said
    assert list(home.iterdir()) == []
    assert processes_of(str(home)) == []


def test_a_model_that_fails_is_three_and_findings_are_printed(repository: Made, alone: dict[str, str]) -> None:
    repository.write({"calculator.py": CALCULATOR})
    model = {
        "API_OPEN_AI_API_KEY": "sk-of-a-test-that-nobody-has",
        "API_OPENAI_FORCE_BASE_URL": "http://127.0.0.1:9/v1",  # the discard port: nothing listens
        "API_LLM_PROVIDER_MODEL": "openai:gpt-4o-mini",
    }
    done = review(repository.path, alone | model, "--receipt")
    assert done.returncode == 3
    assert b"calculator.py" in done.stdout and b"finding" in done.stdout
    assert b"the model did not look at everything" in done.stdout
    assert b"not completed: the model did not look at everything" in done.stderr
    assert b"sk-of-a-test" not in done.stdout + done.stderr


def test_a_setting_that_is_wrong_is_two_and_named(repository: Made, alone: dict[str, str]) -> None:
    repository.write({"calculator.py": CALCULATOR})
    done = review(repository.path, alone | {"API_OPENAI_FORCE_BASE_URL": "nonsense"})
    assert done.returncode == 2
    said = done.stderr.decode()
    assert "API_OPENAI_FORCE_BASE_URL: must be http(s)://" in said
    assert "application.log" not in said
    assert list(Path(alone["HOME"]).iterdir()) == []
