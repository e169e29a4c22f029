"""What git itself says of the commits of a repository: files, counts, patches and contents."""

import io
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from services.kit.diff.git import DIFF_OPTIONS, git_command, git_environment

SUBMODULE = "160000"
_OBJECT_ID = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Change:
    """One entry of `git diff --raw -z`; modes and paths are None on the side that has no file."""

    letter: str  # A, D, M, R, C or T
    similarity: int | None
    old_path: bytes | None
    new_path: bytes | None
    old_mode: str | None
    new_mode: str | None
    old_id: str
    new_id: str


@dataclass(frozen=True)
class Count:
    """One entry of `git diff --numstat -z`; the counts are None where git takes the file for binary."""

    added: int | None
    removed: int | None
    old_path: bytes
    new_path: bytes


def run_git(repository: Path, *arguments: str, stdin: bytes = b"", quote_path: bool = True) -> bytes:
    command = git_command("-C", str(repository), *arguments, quote_path=quote_path)
    return subprocess.run(command, input=stdin, env=git_environment(), check=True, capture_output=True).stdout


def first_parent_pairs(repository: Path, limit: int | None = None) -> list[str]:
    """Every commit with its first parent, as `diff-tree --stdin` takes them, newest first; roots stand alone."""
    count = [f"--max-count={limit}"] if limit else []
    listed = run_git(repository, "rev-list", "--parents", "--all", *count).decode().splitlines()
    return [" ".join(line.split()[:2]) for line in listed]


def without_missing_objects(repository: Path, pairs: list[str]) -> list[str]:
    """The pairs whose contents are all there; a partial copy of a repository may lack its largest files."""
    listed = run_git(repository, "rev-list", "--all", "--objects", "--missing=print").split(b"\n")
    missing = {line[1:].decode() for line in listed if line.startswith(b"?")}
    if not missing:
        return pairs
    # Without looking for renames, git reads no contents for this.
    changes = read_changes(repository, pairs, "--no-renames")
    spoilt = {commit for commit, found in changes.items() if any({c.old_id, c.new_id} & missing for c in found)}
    return [pair for pair in pairs if pair.split()[0] not in spoilt]


def read_changes(repository: Path, pairs: list[str], *options: str) -> dict[str, list[Change]]:
    """The raw entries of each commit that has any."""
    found: dict[str, list[Change]] = {}
    current: list[Change] = []
    fields = iter(_diff_tree(repository, pairs, *options, "--raw", "-z").split(b"\0")[:-1])
    for field in fields:
        if _OBJECT_ID.fullmatch(field):
            current = found.setdefault(field.decode(), [])
            continue
        old_mode, new_mode, old_id, new_id, status = field.decode().removeprefix(":").split(" ")
        old_path = next(fields)
        new_path = next(fields) if status[0] in "RC" else old_path
        added, removed = status == "A", status == "D"
        current.append(
            Change(
                status[0],
                int(status[1:]) if status[0] in "RC" else None,
                None if added else old_path,
                None if removed else new_path,
                None if added else old_mode,
                None if removed else new_mode,
                old_id,
                new_id,
            )
        )
    return found


def read_counts(repository: Path, pairs: list[str], *options: str) -> dict[str, list[Count]]:
    """The line counts of each commit that has any."""
    found: dict[str, list[Count]] = {}
    current: list[Count] = []
    fields = iter(_diff_tree(repository, pairs, *options, "--numstat", "-z").split(b"\0")[:-1])
    for field in fields:
        if _OBJECT_ID.fullmatch(field):
            current = found.setdefault(field.decode(), [])
            continue
        added, removed, path = field.split(b"\t", 2)
        old_path, new_path = (path, path) if path else (next(fields), next(fields))
        current.append(
            Count(None if added == b"-" else int(added), None if removed == b"-" else int(removed), old_path, new_path)
        )
    return found


def read_patches(
    repository: Path, pairs: list[str], *options: str, quote_path: bool = True
) -> Iterator[tuple[str, bytes]]:
    """Yield each commit that changes something with its patch, reading git's output as it comes."""
    command = git_command("-C", str(repository), *_tree_options(*options, "--patch"), quote_path=quote_path)
    with tempfile.TemporaryFile() as wanted:
        wanted.write("\n".join([*pairs, ""]).encode())
        wanted.seek(0)
        with subprocess.Popen(command, env=git_environment(), stdin=wanted, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            yield from _split_commits(process.stdout)
        assert process.returncode == 0


def _split_commits(output: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    commit, patch = "", io.BytesIO()
    for line in output:
        if _OBJECT_ID.fullmatch(line[:-1]):  # a line of a patch begins with a mark or a keyword
            if commit:
                yield commit, patch.getvalue()
            commit, patch = line[:-1].decode(), io.BytesIO()
        else:
            patch.write(line)
    if commit:
        yield commit, patch.getvalue()


def _diff_tree(repository: Path, pairs: list[str], *form: str) -> bytes:
    return run_git(repository, *_tree_options(*form), stdin="\n".join([*pairs, ""]).encode())


def _tree_options(*form: str) -> list[str]:
    return ["diff-tree", "--stdin", "--root", "-r", *DIFF_OPTIONS, *form]


class Blobs:
    """The contents of objects, from one long-running `git cat-file`."""

    def __init__(self, repository: Path) -> None:
        self._process = subprocess.Popen(
            git_command("-C", str(repository), "cat-file", "--batch"),
            env=git_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> "Blobs":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def read(self, object_id: str, mode: str | None) -> bytes:
        """The bytes that git compares: none where there is no file, one line for a submodule."""
        if mode is None:
            return b""
        if mode == SUBMODULE:
            return f"Subproject commit {object_id}\n".encode()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(object_id.encode() + b"\n")
        self._process.stdin.flush()
        size = int(self._process.stdout.readline().split()[2])
        return self._process.stdout.read(size + 1)[:-1]
