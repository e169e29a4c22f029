"""Which change the demo takes, and what it says when there is none."""

import subprocess
from pathlib import Path

import pytest

from cli.demo.change import ChangeError, resolve

WHO = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *WHO, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def commit(folder: Path, content: str) -> None:
    (folder / "a").write_text(content)
    git(folder, "add", "a")
    git(folder, "commit", "-q", "--allow-empty", "-m", content)


def test_one_commit_is_compared_with_nothing(repository: Path) -> None:
    commit(repository, "1")
    change = resolve(repository, None, None)
    assert (change.base, change.description) == (None, "the whole tree (there is one commit)")


def test_a_shallow_clone_is_compared_with_nothing(repository: Path, tmp_path: Path) -> None:
    commit(repository, "1")
    commit(repository, "2")
    git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), "shallow")
    assert resolve(tmp_path / "shallow", None, None).base is None


def test_the_last_five_commits_of_more_are_taken_from_any_folder_inside(repository: Path) -> None:
    for number in range(8):
        commit(repository, str(number))
    (repository / "inside").mkdir()
    change = resolve(repository / "inside", None, None)
    assert (change.repository, change.description) == (repository, "the last 5 commits")


def test_a_repository_without_commits_is_told(repository: Path) -> None:
    with pytest.raises(ChangeError, match="has no commit yet"):
        resolve(repository, None, None)


def test_a_range_without_changes_is_told(repository: Path) -> None:
    commit(repository, "1")
    commit(repository, "1")
    with pytest.raises(ChangeError, match="no file differs in the last commit"):
        resolve(repository, None, None)


def test_words_that_name_nothing_are_told(repository: Path, tmp_path: Path) -> None:
    commit(repository, "1")
    with pytest.raises(ChangeError, match="'nowhere' is not a commit"):
        resolve(repository, "nowhere", None)
    with pytest.raises(ChangeError, match="is no directory"):
        resolve(tmp_path / "missing", None, None)
    with pytest.raises(ChangeError, match="is not in a git repository"):
        resolve(tmp_path, None, None)
