"""Exit statuses, the output file, and what the command says of wrong words."""

import os
import stat
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from lintel.review.v1 import review_pb2 as pb

from cli.commands.review import review
from cli.layout import Layout
from cli.review.output import deliver, exit_status, require_place, wants_colour
from cli.review.system import settings_of
from tests.unit.cli.review.answers import finding, outcome
from tests.unit.cli.review.repositories import Made


@pytest.mark.parametrize(
    ("severity", "fail_on", "status"),
    [
        (pb.SEVERITY_LOW, "low", 1),
        (pb.SEVERITY_LOW, "medium", 0),
        (pb.SEVERITY_HIGH, "high", 1),
        (pb.SEVERITY_MEDIUM, "high", 0),
        (pb.SEVERITY_CRITICAL, "high", 1),
        (pb.SEVERITY_HIGH, "critical", 0),
        (pb.SEVERITY_CRITICAL, "never", 0),
    ],
)
def test_findings_at_or_above_the_limit_are_one(severity: pb.Severity, fail_on: str, status: int) -> None:
    assert exit_status(outcome(finding(severity=severity)), fail_on) == status


def test_what_was_not_completed_is_three_whatever_was_found() -> None:
    broken = pb.AnalyzerReceipt(name="ruff", fate=pb.ANALYZER_FATE_FAILED)
    for fail_on in ("low", "never"):
        assert exit_status(outcome(finding(), model_failure="429"), fail_on) == 3
        assert exit_status(outcome(analyzers=[broken]), fail_on) == 3
    assert exit_status(outcome(), "low") == 0


def test_dismissed_findings_do_not_count() -> None:
    assert exit_status(outcome(finding(state=pb.FINDING_STATE_DISMISSED)), "low") == 0


def test_the_output_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    deliver("one", file)
    assert stat.S_IMODE(file.stat().st_mode) & 0o600 == 0o600
    file.chmod(0o640)
    before = file.stat().st_ino
    deliver("two", file)
    assert file.read_text() == "two" and file.stat().st_ino != before
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.json"]
    link = tmp_path / "link.json"
    link.symlink_to(file)
    deliver("three", link)
    assert link.is_symlink() and file.read_text() == "three"


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none" / "out.json"):
        with pytest.raises(click.UsageError, match="can't be written"):
            require_place(place)


def _invoke(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(review, list(words))
    return done.exit_code, done.output


def test_wrong_words_are_two(repository: Made, tmp_path: Path) -> None:
    repo = ("--repo", str(repository.path))
    for words in (
        ("--repo", str(tmp_path / "none")),
        ("--repo", str(tmp_path)),
        (*repo, "--base", "nowhere"),
        (*repo, "--staged", "--base", "main"),
        (*repo, "--diff", "x.diff", "--staged"),
        (*repo, "--format", "xml"),
        (*repo, "--fail-on", "urgent"),
        (*repo, "--diff", "-", "--sarif", "-"),
        (*repo, "--sarif", str(tmp_path / "none.sarif")),
    ):
        status, said = _invoke(*words)
        assert status == 2, said
        assert "Error:" in said and "Traceback" not in said


def test_an_empty_range_is_zero_and_says_so(repository: Made, tmp_path: Path) -> None:
    status, said = _invoke("--repo", str(repository.path))
    assert status == 0 and "nothing to review" in said
    output = tmp_path / "out.sarif"
    assert _invoke("--repo", str(repository.path), "--format", "sarif", "--output", str(output))[0] == 0
    assert '"results": []' in output.read_text()


def test_a_lintel_that_is_away_is_three(repository: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    repository.write({"kept.py": "one = 2\n"})
    monkeypatch.setenv("LINTEL_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("LINTEL_TOKEN", "a-token-of-a-test")
    status, said = _invoke("--repo", str(repository.path))
    assert status == 3 and "does not answer" in said and "a-token-of-a-test" not in said


@pytest.mark.parametrize(
    "url", ["ftp://x", "127.0.0.1:3001", "http://u:p@x", "http://x/path", "http://[", "http://x:99999"]
)
def test_a_url_that_is_none_is_two(repository: Made, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    repository.write({"kept.py": "one = 2\n"})
    monkeypatch.setenv("LINTEL_URL", url)
    monkeypatch.setenv("LINTEL_TOKEN", "a-token")
    status, said = _invoke("--repo", str(repository.path))
    assert status == 2 and "URL of Lintel" in said
    monkeypatch.delenv("LINTEL_TOKEN")
    assert _invoke("--repo", str(repository.path))[0] == 2


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(None)
    assert not wants_colour(Path(os.devnull))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(None)


def test_a_tracked_environment_file_does_not_say_where_the_code_goes(
    repository: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / "state")
    inherited = {"PATH": os.environ["PATH"], "LINTEL_TOKEN": "t"}
    repository.write({".env": "LINTEL_URL=http://127.0.0.1:9\nLINTEL_TOKEN=other\n"})
    monkeypatch.chdir(repository.path)
    assert settings_of(inherited, layout)["LINTEL_URL"] == "http://127.0.0.1:9"
    assert settings_of(inherited, layout)["LINTEL_TOKEN"] == "t"
    repository.git("add", ".env")
    assert "LINTEL_URL" not in settings_of(inherited, layout)
