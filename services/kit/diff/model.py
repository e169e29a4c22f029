"""What a unified diff says: files, hunks and lines, with both line numbers; everything is bytes.

Vocabulary: LEFT is the old file, RIGHT the new one; line numbers start at 1, as the code hosts count.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_ADDED, _REMOVED, _NO_NEWLINE, _FEED = b"+-\\\n"


class Side(StrEnum):
    """Which version of the file a line number belongs to."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"


class LineKind(StrEnum):
    """How a line takes part in a hunk; the value is its first character in the diff."""

    CONTEXT = " "
    ADDED = "+"
    REMOVED = "-"


_CONTEXT_LINE, _ADDED_LINE, _REMOVED_LINE = LineKind  # looked up once, not for every line


class FileStatus(StrEnum):
    """What happened to the file as a whole."""

    ADDED = "added"
    REMOVED = "removed"
    MODIFIED = "modified"
    RENAMED = "renamed"
    COPIED = "copied"
    MODE_CHANGED = "mode_changed"


class Line(NamedTuple):
    """One line of a hunk: `text` has no final newline and keeps a carriage return."""

    kind: LineKind
    old: int | None
    new: int | None
    text: bytes
    newline: bool = True  # False where git adds "\\ No newline at end of file"

    def number(self, side: Side) -> int | None:
        """The line's number on `side`, None where that side does not have it."""
        return self.old if side is Side.LEFT else self.new


@dataclass(frozen=True, slots=True)
class Hunk:
    """A hunk kept as the bytes of its body, so that a large diff costs its own size and little more."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    section: bytes  # what follows the second @@
    body: bytes  # the lines with their first character, as they stand in the diff; the very last may lack its feed

    @property
    def old_first(self) -> int:
        """The first old line covered; for an empty side, where `old_start` names the line before it, the next one."""
        return self.old_start if self.old_count else self.old_start + 1

    @property
    def new_first(self) -> int:
        """The first new line covered, likewise."""
        return self.new_start if self.new_count else self.new_start + 1

    def lines(self) -> Iterator[Line]:
        """Yield the lines in order, numbered on both sides, one at a time."""
        old, new = self.old_start, self.new_start
        pending: Line | None = None  # held back until it is known whether the mark of a missing newline follows
        for raw in io.BytesIO(self.body):
            mark = raw[0]
            if mark == _NO_NEWLINE:
                if pending is not None:
                    pending = pending._replace(newline=False)
                continue
            if pending is not None:
                yield pending
            text = raw[1:-1] if raw[-1] == _FEED else raw[1:]
            if mark == _ADDED:
                pending = Line(_ADDED_LINE, None, new, text)
                new += 1
            elif mark == _REMOVED:
                pending = Line(_REMOVED_LINE, old, None, text)
                old += 1
            else:
                pending = Line(_CONTEXT_LINE, old, new, text)
                old += 1
                new += 1
        if pending is not None:
            yield pending


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One changed file. Paths are the raw bytes git knows, without a/ and b/; None where the side has no file."""

    old_path: bytes | None
    new_path: bytes | None
    status: FileStatus
    hunks: tuple[Hunk, ...] = ()
    old_mode: str | None = None  # "100644", "100755", "120000" (symlink), "160000" (submodule); None if not stated
    new_mode: str | None = None
    is_binary: bool = False
    similarity: int | None = None  # percent, for renames and copies

    @property
    def path(self) -> bytes:
        """The path to speak of: the new one, or the old one of a removed file."""
        path = self.new_path if self.new_path is not None else self.old_path
        assert path is not None, "a file in a diff has at least one side"
        return path
