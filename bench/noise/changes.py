"""Takes real changes out of a local git repository, bare or not, as the analysis is given them."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.kit.diff.model import FileDiff, FileStatus
from services.kit.diff.parser import parse_diff
from services.review.domain import SourceFile

# What a person's or a system's git configuration could change about a diff is switched off.
_DIFF = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--find-renames", "--unified=3",
         "--src-prefix=a/", "--dst-prefix=b/", "--full-index")  # fmt: skip
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
MAX_FILE = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Change:
    """One change that was merged: its commit on the main line and how many lines it adds and removes."""

    commit: str
    subject: str
    lines: int


def git(repository: Path, *arguments: str, data: bytes | None = None) -> bytes:
    """What git prints; raises CalledProcessError."""
    command = ["git", "-c", "core.quotePath=false", "-C", str(repository), *arguments]
    return subprocess.run(command, input=data, check=True, capture_output=True).stdout


def merged(repository: Path, wanted: int, lines_wanted: range, since: str) -> Iterator[Change]:
    """The last `wanted` changes of the main line before `since` (a revision) whose changed lines are in `lines_wanted`.

    A step of the first-parent history is a change, whether it was merged or squashed; who made it does not matter, and
    what it touches does not either, except that one of pure documentation says nothing about noise and is passed over.
    """
    commits = git(repository, "rev-list", "--first-parent", "--no-commit-header", "--format=%H%x09%s", since)
    found = 0
    for row in commits.decode("utf-8", "replace").splitlines():
        commit, _, subject = row.partition("\t")
        if found == wanted or not has_parent(repository, commit):
            return
        lines = _source_lines(repository, commit)
        if lines and lines in lines_wanted:
            found += 1
            yield Change(commit, subject, lines)


def has_parent(repository: Path, commit: str) -> bool:
    """Whether the commit before it is in the repository, which a shallow one may lack."""
    command = ["git", "-C", str(repository), "cat-file", "-e", f"{commit}^1^{{tree}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _source_lines(repository: Path, commit: str) -> int:
    """Changed lines of a commit; 0 where it touches only documentation and locked versions, or is not here whole."""
    total = source = 0
    try:
        numbers = git(repository, "diff", "--numstat", "--no-renames", "-z", f"{commit}^1", commit)
    except subprocess.CalledProcessError:
        return 0
    for entry in numbers.decode("utf-8", "replace").split("\0"):
        added, _, rest = entry.partition("\t")
        removed, _, path = rest.partition("\t")
        if added.isdigit() and removed.isdigit():
            total += int(added) + int(removed)
            source += not path.lower().endswith((".md", ".rst", ".txt", ".adoc", ".lock", "-lock.json", "go.sum"))
    return total if source else 0


def files_of(repository: Path, commit: str) -> list[SourceFile]:
    """The files of one change with their whole new content."""
    diffs = list(parse_diff(git(repository, *_DIFF, f"{commit}^1", commit)))
    heads = contents(repository, commit, [d.new_path for d in diffs if d.new_path is not None])
    return [_source_file(diff, heads) for diff in diffs]


def tree_files(repository: Path, commit: str) -> list[SourceFile]:
    """Every text file of a commit, as if the change added it."""
    paths = [path for path in git(repository, "ls-tree", "-r", "-z", "--name-only", commit).split(b"\0") if path]
    return [
        SourceFile(path, "added", patch=_all_added(head), head=head, new_mode="100644")
        for path, head in contents(repository, commit, paths).items()
        if head and len(head) <= MAX_FILE and b"\0" not in head[:8000]
    ]


def contents(repository: Path, commit: str, paths: Sequence[bytes]) -> dict[bytes, bytes]:
    """Whole files of a commit by path; submodules and what is missing are left out."""
    usable = [path for path in paths if b"\n" not in path]
    asked = b"".join(commit.encode() + b":" + path + b"\n" for path in usable)
    answer = git(repository, "cat-file", "--batch", data=asked)
    found: dict[bytes, bytes] = {}
    position = 0
    for path in usable:
        end = answer.index(b"\n", position)
        fields = answer[position:end].rsplit(b" ", 2)
        position = end + 1
        if fields[-2:-1] in ([b"blob"], [b"tree"], [b"commit"]):
            size = int(fields[-1])
            if fields[-2] == b"blob":
                found[path] = answer[position : position + size]
            position += size + 1
    return found


def _source_file(diff: FileDiff, heads: dict[bytes, bytes]) -> SourceFile:
    patch = b"".join(
        b"@@ -%d,%d +%d,%d @@\n%s"
        % (hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count, hunk.body.rstrip(b"\n") + b"\n")
        for hunk in diff.hunks
    )
    status = "modified" if diff.status in (FileStatus.MODIFIED, FileStatus.MODE_CHANGED) else diff.status.value
    return SourceFile(
        diff.path,
        status,
        diff.old_path if diff.status is FileStatus.RENAMED else None,
        patch or (b"Binary files differ\n" if diff.is_binary else None),
        heads.get(diff.path) if diff.new_path is not None else None,
        old_mode=diff.old_mode,
        new_mode=diff.new_mode,
    )


def _all_added(head: bytes) -> bytes:
    lines = head.removesuffix(b"\n").split(b"\n")
    return b"@@ -0,0 +1,%d @@\n" % len(lines) + b"".join(b"+" + line + b"\n" for line in lines)
