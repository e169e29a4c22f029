"""A diff that is given: what is no diff, what is too large, and contents only where they are its own."""

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from cli.review import patch
from cli.review.git import find_repository
from cli.review.patch import read_change, read_sarif
from tests.unit.cli.review.repositories import Made

DIFF = b"--- a/kept.py\n+++ b/kept.py\n@@ -1 +1 @@\n-one = 1\n+one = 2\n"


def from_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


def test_contents_come_from_the_tree_that_matches(repository: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_repository(repository.path, os.environ)
    from_stdin(monkeypatch, DIFF)
    stale = read_change("-", found)
    assert [(file.path, file.head) for file in stale.files] == [(b"kept.py", None)]
    assert any("not what the diff leads to" in note for note in stale.notes)
    repository.write({"kept.py": "one = 2\n"})
    from_stdin(monkeypatch, DIFF)
    assert read_change("-", found).files[0].head == b"one = 2\n"
    from_stdin(monkeypatch, DIFF)
    assert read_change("-", None).files[0].head is None


@pytest.mark.parametrize("path", [b"../outside.py", b"/etc/passwd", b"a/../../outside.py"])
def test_no_path_leads_out_of_the_repository(repository: Made, monkeypatch: pytest.MonkeyPatch, path: bytes) -> None:
    (repository.path.parent / "outside.py").write_text("one = 2\n")
    from_stdin(monkeypatch, b"--- a/" + path + b"\n+++ b/" + path + b"\n@@ -1 +1 @@\n-one = 1\n+one = 2\n")
    try:
        change = read_change("-", find_repository(repository.path, os.environ))
    except click.UsageError:
        return
    assert all(file.head is None for file in change.files)


def test_what_is_no_diff_is_refused_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from_stdin(monkeypatch, b"hello\nworld\n")
    with pytest.raises(click.UsageError, match=r"standard input: line 1 .*no diff"):
        read_change("-", None)
    from_stdin(monkeypatch, DIFF + b"+too much\n")
    with pytest.raises(click.UsageError):
        read_change("-", None)


def test_blank_input_is_an_empty_change(monkeypatch: pytest.MonkeyPatch) -> None:
    from_stdin(monkeypatch, b"\n")
    assert read_change("-", None).diff == b""


def test_too_large_and_unreadable_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch, "MAX_DIFF", 100)
    from_stdin(monkeypatch, DIFF * 3)
    with pytest.raises(click.UsageError, match="larger than"):
        read_change("-", None)
    with pytest.raises(click.UsageError, match="No such file"):
        read_change(str(tmp_path / "none.diff"), None)
    with pytest.raises(click.UsageError, match="Is a directory"):
        read_change(str(tmp_path), None)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": "2.1.0"}', '{"version": "2.0.0", "runs": []}', "[" * 99999]
)
def test_what_is_no_sarif_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "log.sarif"
    file.write_text(content)
    with pytest.raises(click.UsageError, match="SARIF"):
        read_sarif(str(file))


def test_sarif_is_passed_on_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "log.sarif"
    file.write_text('{"version": "2.1.0", "runs": []}')
    assert read_sarif(str(file)) == file.read_bytes()
