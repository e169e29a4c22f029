"""Generated histories, and this repository's own: parser and position map agree with git on every commit."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kit.diff.model import FileStatus
from services.kit.diff.parser import parse_diff, parse_patch
from tests.unit.diff.generate import build_history
from tests.unit.diff.gitfacts import first_parent_pairs, read_patches, run_git
from tests.unit.diff.oracle import check_history

ROOT = Path(__file__).parents[3]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), quote_path=st.booleans())
def test_every_commit_of_a_generated_history(
    tmp_path_factory: pytest.TempPathFactory, seed: int, quote_path: bool
) -> None:
    repository = build_history(tmp_path_factory.mktemp("history") / "repo.git", seed)
    assert check_history(repository, quote_path=quote_path).mismatches == []


@pytest.mark.parametrize("quote_path", [True, False])
def test_a_long_generated_history_with_every_kind_of_change(tmp_path: Path, quote_path: bool) -> None:
    repository = build_history(tmp_path / "repo.git", seed=7, commits=250)
    tally = check_history(repository, quote_path=quote_path)
    assert tally.mismatches == []
    assert tally.commits == 250
    assert tally.files > 400
    kinds = FileStatus.ADDED, FileStatus.REMOVED, FileStatus.MODIFIED, FileStatus.RENAMED, FileStatus.MODE_CHANGED
    assert tally.statuses >= {(kind, False) for kind in kinds}
    assert tally.statuses >= {(FileStatus.ADDED, True), (FileStatus.REMOVED, True)}


@pytest.mark.parametrize(
    ("pairing", "form"),
    [
        (["--find-copies", "--find-copies-harder"], []),
        (["--no-renames"], []),
        (["--break-rewrites=1%/1%"], []),
        (["-R"], []),
        ([], ["--unified=0"]),
        ([], ["--unified=1000000"]),
        ([], ["--inter-hunk-context=5", "--function-context"]),
        ([], ["--patience", "--full-index"]),
        ([], ["--binary"]),
        ([], ["--no-prefix"]),
        ([], ["--src-prefix=i/", "--dst-prefix=w/"]),
        ([], ["--src-prefix=old/", "--dst-prefix=new/"]),
    ],
)
def test_other_options_of_git(tmp_path: Path, pairing: list[str], form: list[str]) -> None:
    repository = build_history(tmp_path / "repo.git", seed=23, commits=120)
    tally = check_history(repository, pairing=pairing, form=form)
    assert tally.mismatches == []
    assert tally.hunks > 100
    assert ((FileStatus.COPIED, False) in tally.statuses) is ("--find-copies" in pairing)


def test_hunks_without_a_header_are_those_of_the_whole_diff(tmp_path: Path) -> None:
    """As in GitHub's `patch` field: from the first @@ on, without the last line feed."""
    repository = build_history(tmp_path / "repo.git", seed=11, commits=40)
    checked = 0
    for _, whole in read_patches(repository, first_parent_pairs(repository)):
        for part in re.split(rb"^(?=diff --git )", whole, flags=re.MULTILINE)[1:]:
            _, _, patch = part.partition(b"\n@@ ")
            if patch:
                (file,) = parse_diff(part)
                hunks = parse_patch(b"@@ " + patch.removesuffix(b"\n"))
                assert [list(hunk.lines()) for hunk in hunks] == [list(hunk.lines()) for hunk in file.hunks]
                checked += 1
    assert checked > 40


def test_every_commit_of_this_repository() -> None:
    try:
        shallow = run_git(ROOT, "rev-parse", "--is-shallow-repository").strip() != b"false"
    except subprocess.CalledProcessError:
        pytest.skip("this is no git checkout")
    if shallow:
        pytest.skip("a shallow clone has no history to check")
    assert check_history(ROOT, limit=200).mismatches == []
