"""Which lines may carry a comment. git is the judge: hunks must rebuild the new file from the old one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from emulators.github.diff import FileDiff, diff_files
from emulators.github.git import GitError, GitRepository
from emulators.github.host import moved_line
from tests.contract.emulators.github.support import History, Repository

_PIECES = [
    b"same",
    b"",
    b"-- x",
    b"++ y",
    b"@@ -1,2 +3,4 @@",
    b"diff --git a/a b/a",
    b"\\ No newline",
    b"a\rb",
    b"\xff",
]


def rebuilt(old: bytes, file: FileDiff) -> bytes:
    """Applies the hunks to the old content, checking each row against it."""
    lines = old.split(b"\n")
    out: list[bytes] = []
    at = 0
    for hunk in file.hunks:
        start = min((row.old for row in hunk.rows if row.old is not None), default=None)
        if start is not None:
            out += lines[at : start - 1]
            at = start - 1
        for row in hunk.rows:
            if row.old is not None:
                assert (lines[at], row.old) == (row.text[1:], at + 1)
                at += 1
            if row.new is not None:
                out.append(row.text[1:])
                assert len(out) == row.new
    return b"\n".join(out + lines[at:])


async def test_rows_rebuild_every_changed_file(history: History) -> None:
    repository = GitRepository(history.repository.path)
    checked = 0
    for file in await diff_files(repository, history.base, history.head):
        if file.patch is None or file.status == "added" or file.new_mode in ("160000", "000000"):
            continue
        old, new = await repository.blob(file.old_sha), await repository.blob(file.new_sha)
        ended = new if new.endswith(b"\n") else new + b"\n"
        assert rebuilt(old, file) == ended, file.name
        checked += 1
    assert checked == 4


async def test_rows_rebuild_generated_files(tmp_path: Path) -> None:
    chance = random.Random(20261122)
    repo = Repository(tmp_path / "repo")
    texts: dict[str, tuple[bytes, bytes]] = {}
    for number in range(40):
        old = [chance.choice(_PIECES) for _ in range(chance.randrange(1, 60))]
        new = [line for line in old if chance.random() > 0.15]
        for _ in range(chance.randrange(0, 6)):
            new.insert(chance.randrange(0, len(new) + 1), chance.choice(_PIECES))
        texts[f"{number}.txt"] = b"\n".join(old) + b"\n", b"\n".join(new) + b"\n"
    for name, (old_text, _) in texts.items():
        repo.write(name, old_text)
    base = repo.commit("old")
    for name, (_, new_text) in texts.items():
        repo.write(name, new_text)
    head = repo.commit("new")
    repository = GitRepository(repo.path)
    files = await diff_files(repository, base, head)
    assert len(files) > 30
    for file in files:
        old_text, new_text = texts[file.name]
        assert rebuilt(old_text, file) == new_text
        assert file.additions == sum(row.old is None for hunk in file.hunks for row in hunk.rows)
        assert file.deletions == sum(row.new is None for hunk in file.hunks for row in hunk.rows)


async def test_lines_move_with_what_comes_before(tmp_path: Path) -> None:
    chance = random.Random(7)
    repo = Repository(tmp_path / "repo")
    old = [f"unique {number}" for number in range(200)]
    new = [line for line in old if chance.random() > 0.1]
    for number in range(20):
        new.insert(chance.randrange(0, len(new) + 1), f"inserted {number}")
    repo.write("a", "\n".join(old) + "\n")
    base = repo.commit("old")
    repo.write("a", "\n".join(new) + "\n")
    head = repo.commit("new")
    [file] = await diff_files(GitRepository(repo.path), base, head, context=0)
    for number, line in enumerate(old, start=1):
        assert moved_line(file, number) == (new.index(line) + 1 if line in new else None)


async def test_positions_count_through_hunk_headers(history: History) -> None:
    files = {file.name: file for file in await diff_files(GitRepository(history.repository.path), "main", history.head)}
    app = files["app.py"]
    assert app.patch is not None
    lines = app.patch.decode().split("\n")
    for position, text in enumerate(lines):
        found = app.at_position(position)
        if text.startswith("@@"):
            assert found is None
        elif text.startswith("-"):
            assert found is not None
            assert found[0] == "LEFT"
        else:
            assert found is not None
            assert found[0] == "RIGHT"
    assert app.at_position(4) == ("LEFT", 5)
    assert app.at_position(5) == ("RIGHT", 5)
    assert app.at_position(len(lines)) is None


async def test_user_and_repository_taste_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = Repository(tmp_path / "repo")
    repo.write("a.txt", "one\n")
    base = repo.commit("old")
    repo.write("a.txt", "two\n")
    head = repo.commit("new")
    plain = await diff_files(GitRepository(repo.path), base, head)
    marker = tmp_path / "ran"
    settings = {
        "diff.external": f"touch {marker}",
        "diff.noprefix": "true",
        "color.ui": "always",
        "core.fsmonitor": f"touch {marker}",
        "diff.context": "0",
        "diff.text.textconv": f"touch {marker};",
        "diff.renames": "copies",
    }
    for name, value in settings.items():
        repo.git("config", name, value)
    repo.write(".gitattributes", "*.txt diff=text -text binary\n")
    config = tmp_path / "gitconfig"
    config.write_text(f'[diff]\n\texternal = "touch {marker}"\n\tcontext = 9\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", f"touch {marker}")
    assert await diff_files(GitRepository(repo.path), base, head) == plain
    assert plain[0].patch == b"@@ -1 +1 @@\n-one\n+two"
    assert not marker.exists()


async def test_what_git_cannot_find_has_a_reason(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="not a git repository"):
        await GitRepository(tmp_path).revision("HEAD")
    repo = Repository(tmp_path / "repo")
    with pytest.raises(GitError, match="names no commit"):
        await GitRepository(repo.path).revision("HEAD")
