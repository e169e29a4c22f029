"""Every kind of range, against what git itself says, and nothing changed by the look."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import pytest

from cli.review.change import Change
from cli.review.errors import NotCompletedError
from cli.review.git import find_repository
from cli.review.ranges import resolve
from cli.review.take import take
from services.kit.diff.parser import parse_diff
from tests.unit.cli.review.repositories import Made


def taken(
    path: Path,
    base: str | None = None,
    head: str | None = None,
    *,
    staged: bool = False,
    inherited: Mapping[str, str] | None = None,
) -> Change:
    environment = {"PATH": os.environ["PATH"], **(inherited or {})}
    repository = find_repository(path, environment)
    assert repository is not None
    return take(repository, resolve(repository, base, head, staged=staged), environment)


def paths(change: Change) -> list[bytes]:
    return [file.path for file in parse_diff(change.diff)]


def test_working_tree_since_the_default_branch(repository: Made) -> None:
    base = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "-q", "-b", "topic")
    repository.commit({"kept.py": "one = 2\n"})
    repository.git("checkout", "-q", "main")
    repository.commit({"elsewhere.py": "not ours\n"})
    repository.git("checkout", "-q", "topic")
    repository.write({"new.py": "fresh = 1\n", "sub/deep.py": "deep = 1\n", "gone.py": None, ".gitignore": "*.log\n"})
    repository.write({"noise.log": "ignored\n"})
    before = repository.trace()
    change = taken(repository.path / "sub")
    assert repository.trace() == before
    assert paths(change) == [b".gitignore", b"gone.py", b"kept.py", b"new.py", b"sub/deep.py"]
    contents = {file.path: (file.base, file.head) for file in change.files}
    assert contents[b"kept.py"] == (b"one = 1\n", b"one = 2\n")
    assert contents[b"gone.py"] == (b"old = 1\n", None)
    assert contents[b"new.py"] == (None, b"fresh = 1\n")
    assert change.base_sha == base and change.head_sha == ""
    assert "main" in change.description


def test_origins_head_is_the_default_branch_and_is_said(repository: Made, make: Callable[..., Made]) -> None:
    repository.git("branch", "-m", "main", "develop")
    clone = make("clone")
    clone.git("remote", "add", "origin", str(repository.path))
    clone.git("fetch", "-q", "origin")
    clone.git("remote", "set-head", "origin", "-a")
    clone.git("checkout", "-q", "-b", "topic", "origin/develop")
    clone.commit({"kept.py": "one = 3\n"})
    change = taken(clone.path)
    assert paths(change) == [b"kept.py"]
    assert "origin/develop" in change.description


def test_without_a_default_branch_head_is_compared_and_that_is_said(repository: Made) -> None:
    repository.git("branch", "-m", "main", "trunk")
    repository.write({"kept.py": "one = 2\n"})
    change = taken(repository.path)
    assert paths(change) == [b"kept.py"]
    assert "no default branch" in change.description
    with pytest.raises(click.UsageError, match="--base"):
        taken(repository.path, None, "HEAD")


def test_base_is_three_dot_and_leaves_the_working_tree_out(repository: Made) -> None:
    repository.git("checkout", "-q", "-b", "topic")
    head = repository.commit({"kept.py": "one = 2\n", "a.bin": b"\0" * 10})
    repository.git("checkout", "-q", "main")
    repository.commit({"gone.py": "old = 2\n"})
    repository.git("checkout", "-q", "topic")
    repository.write({"kept.py": "one = 99\n", "untracked.py": "no\n"})
    before = repository.trace()
    change = taken(repository.path, "main")
    assert repository.trace() == before
    assert paths(change) == [b"a.bin", b"kept.py"]
    assert {f.path: f.head for f in change.files} == {b"a.bin": None, b"kept.py": b"one = 2\n"}
    assert change.head_sha == head
    assert any("a.bin" in note and "binary" in note for note in change.notes)
    assert paths(taken(repository.path, "main", "main~1")) == []
    assert paths(taken(repository.path, None, "topic")) == [b"a.bin", b"kept.py"]


def test_staged_is_what_the_commit_would_hold(repository: Made) -> None:
    repository.write({"kept.py": "one = 2\n"})
    repository.git("add", "kept.py")
    repository.write({"kept.py": "one = 3\n", "gone.py": "old = 9\n"})
    before = repository.trace()
    change = taken(repository.path, staged=True)
    assert repository.trace() == before
    assert [(f.path, f.base, f.head) for f in change.files] == [(b"kept.py", b"one = 1\n", b"one = 2\n")]
    with pytest.raises(click.UsageError):
        taken(repository.path, "main", staged=True)


def test_staged_in_a_hook_of_commit_all_reads_the_index_git_names(repository: Made, tmp_path: Path) -> None:
    repository.write({"kept.py": "one = 2\n"})
    index = repository.path / ".git" / "next-index-1.lock"
    repository.environment["GIT_INDEX_FILE"] = str(index)
    repository.git("read-tree", "HEAD")
    repository.git("add", "-u")
    del repository.environment["GIT_INDEX_FILE"]
    assert paths(taken(repository.path, staged=True)) == []
    assert paths(taken(repository.path, staged=True, inherited={"GIT_INDEX_FILE": ".git/next-index-1.lock"})) == [
        b"kept.py"
    ]
    stray = tmp_path / "index"
    stray.write_bytes(index.read_bytes())
    assert paths(taken(repository.path, staged=True, inherited={"GIT_INDEX_FILE": str(stray)})) == []


def test_an_empty_repository_is_read_against_the_empty_tree(make: Callable[..., Made]) -> None:
    for name, options in (("sha1", ()), ("sha256", ("--object-format=sha256",))):
        made = make(name, *options)
        made.write({"first.py": "first = 1\n", "staged.py": "x\n", "void": ""})
        made.git("add", "staged.py")
        before = made.trace()
        change = taken(made.path)
        assert made.trace() == before
        assert paths(change) == [b"first.py", b"staged.py", b"void"]
        assert change.files[0].head == b"first = 1\n" and change.files[2].head == b""
        assert paths(taken(made.path, staged=True)) == [b"staged.py"]


ODD = [
    b"with space.py",
    b'quo"te.py',
    b"it's.py",
    b"new\nline.py",
    b"tab\t.py",
    b"-leading.py",
    b"back\\slash.py",
    b"\xff\xfe.py",
    "ümlaut.py".encode(),
    b":(glob)*.py",
    b"dir with space/:!x.py",
]


@pytest.mark.parametrize("where", ["working tree", "index", "commit"])
def test_odd_names_keep_their_bytes(repository: Made, where: str) -> None:
    repository.write({os.fsdecode(name): b"x = 1\n" for name in ODD})
    if where != "working tree":
        repository.git("add", "-A")
    if where == "commit":
        repository.git("checkout", "-q", "-b", "topic")
        repository.git("commit", "-q", "-m", "odd")
    before = repository.trace()
    change = taken(repository.path, "main" if where == "commit" else None, staged=where == "index")
    assert repository.trace() == before
    assert sorted(paths(change)) == sorted(ODD)
    assert {file.path: file.head for file in change.files} == dict.fromkeys(ODD, b"x = 1\n")


def test_modes_links_submodules_and_renames(repository: Made, make: Callable[..., Made]) -> None:
    inner = make("inner")
    inner.commit({"x": "x\n"})
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.path), "mod")
    (repository.path / "script.sh").chmod(0o755)
    (repository.path / "link.py").symlink_to("/etc/passwd")
    (repository.path / "gone.py").rename(repository.path / "moved.py")
    (repository.path / "nested").mkdir()
    repository.git("init", "-q", "nested")
    (repository.path / "nested" / "x").write_text("x\n")
    change = taken(repository.path)
    files = {file.path: (file.base, file.head) for file in change.files}
    assert files[b"script.sh"] == (b"echo hello\n", b"echo hello\n")
    assert files[b"link.py"] == (None, None)
    assert files[b"mod"] == (None, None)
    assert files[b"moved.py"] == (b"old = 1\n", b"old = 1\n")
    assert b"nested/x" not in files and b"nested/" not in files
    assert b"root:" not in change.diff


def test_a_link_in_the_way_is_not_followed(repository: Made, tmp_path: Path) -> None:
    repository.commit({"inside/file.py": "x = 1\n"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file.py").write_text("secret = 1\n")
    (repository.path / "inside" / "file.py").unlink()
    (repository.path / "inside").rmdir()
    (repository.path / "inside").symlink_to(outside)
    change = taken(repository.path)
    assert b"secret" not in change.diff
    assert all(file.head is None for file in change.files)


def test_large_files_are_left_out_and_said(repository: Made) -> None:
    repository.write({"large.txt": "x\n" * 600_000, "small.txt": "x\n"})
    change = taken(repository.path)
    assert {file.path: file.head for file in change.files} == {b"large.txt": None, b"small.txt": b"x\n"}
    assert any("large.txt" in note and "1 MB" in note for note in change.notes)


def test_no_configuration_and_no_program_of_the_repository_acts(repository: Made, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    program = f"sh -c 'touch {witness}; cat'"
    for key, value in (
        ("diff.noprefix", "true"),
        ("color.ui", "always"),
        ("diff.external", program),
        ("core.fsmonitor", program),
        ("filter.odd.clean", program),
        ("filter.odd.required", "true"),
        ("diff.odd.textconv", program),
        ("core.splitIndex", "true"),
    ):
        repository.git("config", key, value)
    (repository.path / ".gitattributes").write_text("*.py filter=odd diff=odd\n")
    witness.unlink(missing_ok=True)
    repository.write({"kept.py": "one = 2\n", "new.py": "n = 1\n"})
    objects = sorted((repository.path / ".git").rglob("*"))
    change = taken(repository.path)
    assert sorted((repository.path / ".git").rglob("*")) == objects
    assert paths(change) == [b".gitattributes", b"kept.py", b"new.py"]
    assert not witness.exists()


def test_a_file_that_is_closed_to_the_user_is_left_out_and_said(
    repository: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write({"closed.py": "a = 1\n", "open.py": "b = 1\n"})
    (repository.path / "closed.py").chmod(0)
    real = os.access  # root may read everything, so its right is taken away here
    monkeypatch.setattr(
        os, "access", lambda path, mode: not os.fsencode(path).endswith(b"closed.py") and real(path, mode)
    )
    change = taken(repository.path)
    assert paths(change) == [b"open.py"]
    assert any("closed.py" in note for note in change.notes)


@pytest.mark.parametrize("where", ["working tree", "staged", "commits"])
def test_attributes_do_not_hide_code(repository: Made, where: str) -> None:
    start = repository.commit({"old.js": "one\ntwo\nthree\nfour\n", "logo.bin": b"\0\1"})
    repository.write({"old.js": None, "new.js": "one\ntwo\nthree\neval(x)\n", "caf\udce9 [1].py": "eval(y)\n"})
    repository.write({"logo.bin": b"\0\2", "shown.txt": "x\n", ".gitattributes": "*.js binary\n*.py -diff\n"})
    if where != "working tree":
        repository.git("add", "-A")
    if where == "commits":
        repository.commit({})
        change = taken(repository.path, base=start, head="HEAD")
    else:
        change = taken(repository.path, staged=where == "staged")
    diffs = {diff.path: diff for diff in parse_diff(change.diff)}
    assert sorted(diffs) == sorted(file.path for file in change.files)
    assert len(diffs) == 5
    assert b"+eval(x)" in change.diff
    assert b"+eval(y)" in change.diff
    assert diffs[b"logo.bin"].is_binary
    assert any("as text" in note and "new.js" in note and "shown.txt" not in note for note in change.notes)


def test_what_the_user_ignores_everywhere_is_ignored(repository: Made, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "ignore").write_text("*.swp\n")
    repository.write({"x.swp": "noise\n", "new.py": "n = 1\n"})
    assert paths(taken(repository.path, inherited={"HOME": str(home)})) == [b"new.py"]
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/mine\n")
    (home / "mine").write_text("*.py\n")
    assert paths(taken(repository.path, inherited={"HOME": str(home)})) == [b"x.swp"]


def test_an_unfinished_merge_is_refused(repository: Made) -> None:
    repository.git("checkout", "-q", "-b", "topic")
    repository.commit({"kept.py": "one = 2\n"})
    repository.git("checkout", "-q", "main")
    repository.commit({"kept.py": "one = 3\n"})
    repository.git("merge", "topic", check=False)
    with pytest.raises(click.UsageError, match=r"merge is not finished.*kept\.py"):
        taken(repository.path)
    assert paths(taken(repository.path, "main", "topic")) == [b"kept.py"]


def test_shallow_unrelated_and_unknown_are_told_apart(repository: Made, make: Callable[..., Made]) -> None:
    repository.git("checkout", "-q", "-b", "topic")
    repository.commit({"kept.py": "one = 2\n"})
    repository.git("checkout", "-q", "main")
    repository.commit({"kept.py": "one = 4\n"})
    with pytest.raises(click.UsageError, match="'nowhere' is not a commit"):
        taken(repository.path, "nowhere")
    with pytest.raises(click.UsageError, match="'-x' is not a commit"):
        taken(repository.path, "-x")
    shallow = make("shallow")
    shallow.git("fetch", "-q", "--depth=1", f"file://{repository.path}", "main:refs/remotes/origin/main", "topic")
    shallow.git("checkout", "-q", "-b", "topic", "FETCH_HEAD")
    shallow.git("fetch", "-q", "--depth=1", f"file://{repository.path}", "topic")
    shallow.git("reset", "-q", "--hard", "FETCH_HEAD")
    with pytest.raises(click.UsageError, match="shallow"):
        taken(shallow.path, "origin/main")
    repository.git("checkout", "-q", "--orphan", "stranger")
    repository.commit({"kept.py": "one = 5\n"})
    with pytest.raises(click.UsageError, match="no commit in common"):
        taken(repository.path, "main")


def test_detached_bare_and_linked_places(repository: Made, tmp_path: Path) -> None:
    repository.git("checkout", "-q", "--detach")
    repository.commit({"kept.py": "one = 2\n"})
    assert paths(taken(repository.path)) == [b"kept.py"]
    repository.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "linked", "main")
    (tmp_path / "linked" / "new.py").write_text("n = 1\n")
    assert paths(taken(tmp_path / "linked")) == [b"new.py"]
    repository.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    with pytest.raises(click.UsageError, match="bare"):
        taken(tmp_path / "bare.git")
    assert paths(taken(tmp_path / "bare.git", "main", "HEAD")) == [b"kept.py"]


def test_a_place_without_a_repository_has_none(tmp_path: Path) -> None:
    assert find_repository(tmp_path, {"PATH": os.environ["PATH"]}) is None


def test_a_repository_of_somebody_else_is_read(repository: Made) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    for place in (repository.path, *repository.path.rglob("*")):
        os.chown(place, 12345, 12345)
    repository.write({"new.py": "n = 1\n"})
    assert paths(taken(repository.path)) == [b"new.py"]


def test_a_broken_repository_is_not_completed(repository: Made) -> None:
    repository.write({"kept.py": "one = 2\n"})
    blob = repository.git("rev-parse", "HEAD:kept.py")
    (repository.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(NotCompletedError, match="git diff failed"):
        taken(repository.path)


def test_many_warnings_do_not_stop_git(repository: Made) -> None:
    repository.git("config", "core.autocrlf", "true")
    names = [f"{'long' * 20}-{number}.txt" for number in range(700)]
    repository.commit(dict.fromkeys(names, "x\n"))
    repository.write(dict.fromkeys(names, "y\n"))
    assert len(paths(taken(repository.path))) == len(names)


def test_a_diff_beyond_the_limit_is_refused(repository: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.review.take.MAX_DIFF", 1 << 20)
    repository.write({"large.txt": "x" * 63 + "\n" * (2 << 20)})
    with pytest.raises(click.UsageError, match="larger than 1 MiB"):
        taken(repository.path)
