"""What people read: verdicts that do not promise too much, untrusted words that stay words."""

from dataclasses import replace

import pytest

from services.kit.diff.model import Side
from services.review import text
from services.review.domain import (
    Analysis,
    AnalyzerReport,
    DropReason,
    Fate,
    FileReport,
    Finding,
    Severity,
    Source,
    SourceKind,
)

HEAD = "f" * 40
FILE = FileReport("a.py", "modified", Fate.REVIEWED, None, 2, 2)
SKIPPED = FileReport("b.png", "added", Fate.SKIPPED, "binary", 0, 0)
RAN = AnalyzerReport("ruff", "0.17.6", Fate.RAN, None, 5)
FINDING = Finding(
    "f" * 32,
    "a.py",
    Side.RIGHT,
    3,
    3,
    "x",
    Severity.HIGH,
    "bug",
    1.0,
    "A title",
    "A body.",
    Source(SourceKind.ANALYZER, "ruff", "F821"),
)


def analysis(*findings: Finding, files: tuple[FileReport, ...] = (FILE,), **more: object) -> Analysis:
    return replace(Analysis(findings, files, (RAN,)), **more)  # type: ignore[arg-type]


def test_silence_is_only_told_of_what_was_read() -> None:
    said = text.summary(analysis(files=(FILE, SKIPPED)), (), HEAD)
    assert "No findings" in said
    assert "1 of 2 files read" in said
    assert "`b.png` skipped: binary" in said


def test_nothing_read_is_not_told_as_no_findings() -> None:
    said = text.summary(analysis(files=(SKIPPED,)), (), HEAD)
    assert "No findings" not in said
    assert "Nothing to read" in said


def test_a_failed_analyzer_is_not_told_as_no_findings() -> None:
    failed = replace(RAN, fate=Fate.FAILED, reason="took longer than 60 s")
    said = text.summary(analysis(analyzers=(failed,)), (), HEAD)
    assert "No findings" not in said
    assert "ruff failed: took longer than 60 s" in said


def test_findings_are_counted_by_severity_and_listed() -> None:
    low = replace(FINDING, severity=Severity.LOW)
    said = text.summary(analysis(FINDING, low, low), ("the host left out 3 files",), HEAD)
    assert "**3 findings** (1 high, 2 low)" in said
    assert "`a.py:3`" in said
    assert "- the host left out 3 files" in said


def test_what_was_dropped_is_counted() -> None:
    said = text.summary(analysis(dropped={DropReason.AMBIGUOUS: 2}), (), HEAD)
    assert "2 ambiguous" in said


def test_long_lists_are_cut_and_say_so() -> None:
    files = tuple(replace(SKIPPED, path=f"{n}.png") for n in range(80))
    said = text.summary(analysis(*[FINDING] * 70, files=files), (), HEAD)
    assert "… and 20 more" in said
    assert "80 files skipped, binary: `0.png`, `1.png`" in said
    assert "… and 60 more" in said


def test_every_reason_is_told_once_however_many_files_share_it() -> None:
    large = tuple(replace(SKIPPED, path=f"{n}.py", reason="too large") for n in range(60))
    said = text.summary(analysis(files=(*large, SKIPPED)), (), HEAD)
    assert said.count("too large") == 1
    assert "- `b.png` skipped: binary" in said


def test_more_reasons_than_a_receipt_holds_are_counted() -> None:
    files = tuple(replace(SKIPPED, path=f"{n}.py", reason=f"reason {n}") for n in range(53))
    assert "- … and 3 files more not read whole" in text.summary(analysis(files=files), (), HEAD)


def test_analyzers_that_share_a_reason_share_a_line() -> None:
    idle = tuple(replace(RAN, name=name, fate=Fate.SKIPPED, reason="no file to read") for name in ("secrets", "ruff"))
    said = text.summary(analysis(files=(SKIPPED,), analyzers=idle), (), HEAD)
    assert "- secrets, ruff skipped: no file to read" in said


@pytest.mark.parametrize("name", ["a`b", "``", "`", "a|b", "a\nb", " ", "x" * 300, "a``b`c"])
def test_a_code_span_is_one_line_that_nothing_leaves(name: str) -> None:
    span = text.code_span(name)
    assert "\n" not in span
    assert "|" not in span
    fence = span[: len(span) - len(span.lstrip("`"))]
    inside = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert fence not in inside.replace(fence + "`", "")


def test_a_secret_in_a_finding_is_masked() -> None:
    token = "ghp_" + "a1B2c3D4e5F6" * 3
    leaky = replace(FINDING, body=f"The token {token} is in the code.", title=f"Token {token}")
    assert token not in text.comment(leaky)
    assert token not in text.summary(analysis(leaky), (), HEAD)
