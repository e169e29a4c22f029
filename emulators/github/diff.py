"""What changed between two commits, from git alone: files, patches, and the lines that a comment may stand on.

This is an oracle for the code under test and shares none of it. Hunks are read by the counts in their headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from emulators.github.git import DIFF_OPTIONS, GitRepository

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


@dataclass(frozen=True)
class Row:
    """One line of a hunk: its numbers (None on the side where it isn't) and its `position` in the file's patch."""

    old: int | None
    new: int | None
    position: int
    text: bytes

    def number(self, side: str) -> int | None:
        """Returns the line number on LEFT (old) or RIGHT (new)."""
        return self.old if side == "LEFT" else self.new


@dataclass(frozen=True)
class Hunk:
    """A hunk: the header line, and its rows in order."""

    header: bytes
    rows: tuple[Row, ...]

    def index(self, side: str, line: int) -> int | None:
        """Returns which row carries that line of that side, or None."""
        return next((i for i, row in enumerate(self.rows) if row.number(side) == line), None)


@dataclass
class FileDiff:
    """One changed file; `patch` is None without text: binary, pure rename, change of mode or type."""

    path: bytes
    old_path: bytes
    status: str
    old_mode: str
    new_mode: str
    old_sha: str
    new_sha: str
    additions: int = 0
    deletions: int = 0
    patch: bytes | None = None
    hunks: list[Hunk] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The path as GitHub shows it: bytes that are no UTF-8 become U+FFFD."""
        return self.path.decode("utf-8", "replace")

    @property
    def patch_lines(self) -> int:
        """How many lines the patch has."""
        return 0 if self.patch is None else self.patch.count(b"\n") + 1

    def find(self, side: str, line: int) -> tuple[int, int] | None:
        """Returns (hunk, row) of a line that is inside a hunk on that side, or None."""
        for number, hunk in enumerate(self.hunks):
            row = hunk.index(side, line)
            if row is not None:
                return number, row
        return None

    def at_position(self, position: int) -> tuple[str, int] | None:
        """Returns (side, line) for a legacy position, or None when no line is there."""
        for hunk in self.hunks:
            for row in hunk.rows:
                if row.position == position:
                    return ("RIGHT", row.new) if row.new is not None else ("LEFT", row.old or 0)
        return None


async def diff_files(repository: GitRepository, old: str, new: str, *, context: int = 3) -> list[FileDiff]:
    """Returns the changed files between two commits in git's order, with hunks of `context` lines around changes."""
    trees = (await repository.tree_of(old), await repository.tree_of(new))
    arguments = ("diff-tree", "-r", *DIFF_OPTIONS)
    listing = await repository.run(*arguments, "-z", "--raw", "--numstat", *trees)
    files = _listed(listing)
    patches = await repository.run(*arguments, "-p", f"-U{context}", *trees)
    _attach(files, patches)
    return files


async def diff_text(repository: GitRepository, old: str, new: str) -> bytes:
    """Returns the whole diff as git prints it."""
    trees = (await repository.tree_of(old), await repository.tree_of(new))
    return await repository.run("diff-tree", "-r", *DIFF_OPTIONS, "-U3", "-p", *trees)


def _listed(listing: bytes) -> list[FileDiff]:
    fields = iter(listing.split(b"\0"))
    files: list[FileDiff] = []
    by_path: dict[bytes, FileDiff] = {}
    for record in fields:
        if not record:
            continue
        if record.startswith(b":"):
            files.append(_raw(record, fields))
        else:
            by_path = by_path or {file.path: file for file in files}
            _count(record, fields, by_path)
    return files


def _raw(record: bytes, fields: Iterator[bytes]) -> FileDiff:
    old_mode, new_mode, old_sha, new_sha, status = record[1:].decode().split()
    old_path = next(fields)
    path = next(fields) if status[0] in "RC" else old_path
    word = _STATUS[status[0]]
    if word == "modified" and old_sha == new_sha:
        word = "changed"
    return FileDiff(path, old_path, word, old_mode, new_mode, old_sha, new_sha)


def _count(record: bytes, fields: Iterator[bytes], by_path: dict[bytes, FileDiff]) -> None:
    added, deleted, path = record.split(b"\t", 2)
    if not path:
        next(fields)
        path = next(fields)
    if added != b"-":
        by_path[path].additions, by_path[path].deletions = int(added), int(deleted)


def _attach(files: list[FileDiff], patches: bytes) -> None:
    """Hands each section of the patch text to its file; a type change prints two sections, and is left without text."""
    sections = _sections(patches)
    for file in files:
        body = next(sections)
        if file.status == "changed" and file.old_mode[:3] != file.new_mode[:3]:
            next(sections)
            continue
        if body:
            file.patch = b"\n".join(body)
            file.hunks = list(_hunks(body))


def _sections(patches: bytes) -> Iterator[list[bytes]]:
    """Yields, for each `diff --git`, its lines from the first hunk header on; content can't end a section early."""
    lines = patches.split(b"\n")
    body: list[bytes] | None = None
    old = new = 0
    for line in lines[:-1]:
        if body is not None and (old > 0 or new > 0):
            body.append(line)
            old -= line[:1] in (b" ", b"-")
            new -= line[:1] in (b" ", b"+")
        elif line.startswith(b"diff --git "):
            if body is not None:
                yield body
            body = []
        elif (header := _HUNK.match(line)) and body is not None:
            body.append(line)
            old, new = (int(count) if count is not None else 1 for count in header.group(2, 4))
        elif line.startswith(b"\\") and body:
            body.append(line)
    if body is not None:
        yield body


def _hunks(body: list[bytes]) -> Iterator[Hunk]:
    header = b""
    rows: list[Row] = []
    old = new = old_left = new_left = 0
    for position, line in enumerate(body):
        if old_left == 0 and new_left == 0 and (match := _HUNK.match(line)):
            if header:
                yield Hunk(header, tuple(rows))
            header, rows = line, []
            old, new = int(match[1]), int(match[3])
            old_left, new_left = (int(count) if count is not None else 1 for count in match.group(2, 4))
            continue
        kind = line[:1]
        if kind == b"\\":
            continue
        is_old, is_new = kind in (b" ", b"-"), kind in (b" ", b"+")
        rows.append(Row(old if is_old else None, new if is_new else None, position, line))
        old, new = old + is_old, new + is_new
        old_left, new_left = old_left - is_old, new_left - is_new
    if header:
        yield Hunk(header, tuple(rows))
