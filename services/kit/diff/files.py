"""One file of a diff: its names and status from the headers, then its hunks."""

import re
from typing import NamedTuple

from services.kit.diff.errors import DiffError
from services.kit.diff.headers import GitHeader, read_git_header
from services.kit.diff.hunks import read_hunks
from services.kit.diff.lines import Lines, header_text
from services.kit.diff.model import FileDiff, FileStatus, Hunk
from services.kit.diff.paths import DEV_NULL, Pair, is_epoch, name_and_stamp, strip_prefixes

OLD_NAME, NEW_NAME = b"--- ", b"+++ "

_BINARY_DATA = re.compile(rb"(?:literal|delta) \d+\n")


class Sides(NamedTuple):
    """The "---" and "+++" lines of a file, prefixes still on the names; `number` is the line they start at."""

    names: Pair
    old_stamp: bytes
    new_stamp: bytes
    number: int


def read_sides(lines: Lines) -> Sides | None:
    """Read a "---" line and the "+++" line after it; None, having passed the first, where no "+++" follows."""
    number, old_line = lines.number, lines.current
    lines.advance()
    if not lines.current.startswith(NEW_NAME):
        return None
    old, old_stamp = _name(old_line, number)
    new, new_stamp = _name(lines.current, lines.number)
    lines.advance()
    return Sides(Pair(old, new), old_stamp, new_stamp, number)


def read_git_file(lines: Lines) -> FileDiff:
    """Read the file that a "diff --git" line starts; raise DiffError."""
    number = lines.number
    header = read_git_header(lines)
    is_binary = _skip_binary(lines)
    sides: Sides | None = None
    hunks: tuple[Hunk, ...] = ()
    if not is_binary and lines.current.startswith(OLD_NAME):
        sides = read_sides(lines)
        if sides is None:
            raise lines.error("the old name of a file is not followed by its new one")
        hunks = _read_content(lines)
    names = _names(header, sides, number)
    status = _status(header, names, sides)
    if status is FileStatus.MODIFIED and not hunks and not is_binary and header.old_mode != header.new_mode:
        status = FileStatus.MODE_CHANGED
    return _file(names, status, hunks, header, is_binary, number)


def read_plain_file(lines: Lines, sides: Sides) -> FileDiff:
    """Read the hunks after the names of a file that has no header of git's; raise DiffError."""
    hunks = _read_content(lines)
    names = strip_prefixes(sides.names)
    old_empty = hunks[0].old_start == hunks[0].old_count == 0
    new_empty = hunks[0].new_start == hunks[0].new_count == 0
    # `diff -N` names a missing file like the other one and gives it the timestamp zero.
    added = names.old == DEV_NULL or (old_empty and is_epoch(sides.old_stamp))
    removed = names.new == DEV_NULL or (new_empty and is_epoch(sides.new_stamp))
    if added and removed:
        raise DiffError("neither side of this file exists", sides.number)
    if added or removed:
        status = FileStatus.ADDED if added else FileStatus.REMOVED
    else:
        status = FileStatus.MODIFIED if names.old == names.new else FileStatus.RENAMED
    return _file(names, status, hunks, GitHeader(names), False, sides.number)


def _file(
    names: Pair, status: FileStatus, hunks: tuple[Hunk, ...], header: GitHeader, is_binary: bool, number: int
) -> FileDiff:
    """Put a file together and check that its parts agree; `number` is the line where it starts."""
    added, removed = status is FileStatus.ADDED, status is FileStatus.REMOVED
    old, new = None if added else names.old, None if removed else names.new
    if any(path is not None and (not path or b"\0" in path) for path in (old, new)):
        raise DiffError("a path that is empty or holds a NUL byte", number)
    if (added and any(hunk.old_count for hunk in hunks)) or (removed and any(hunk.new_count for hunk in hunks)):
        raise DiffError("a new or deleted file has lines on the side where it does not exist", number)
    old_mode, new_mode = None if added else header.old_mode, None if removed else header.new_mode
    return FileDiff(old, new, status, hunks, old_mode, new_mode, is_binary, header.similarity)


def _names(header: GitHeader, sides: Sides | None, number: int) -> Pair:
    """The paths of a file in git's format, from the most exact of the places that name them."""
    if sides is None:
        if header.names is None:
            raise DiffError("the path of this file can't be told from its header", number)
        return header.names
    if header.names is None:
        if DEV_NULL in sides.names:
            raise DiffError("the path of this file can't be told from its prefix", number)
        return strip_prefixes(sides.names)
    for path, shown in zip(header.names, sides.names, strict=True):
        if shown != DEV_NULL and not shown.endswith(path):
            raise DiffError("the headers of this file name different paths", sides.number)
    return header.names


def _status(header: GitHeader, names: Pair, sides: Sides | None) -> FileStatus:
    stated, shown = header.status, None
    if sides is not None:
        if sides.names.old == DEV_NULL:
            shown = FileStatus.ADDED
        elif sides.names.new == DEV_NULL:
            shown = FileStatus.REMOVED
        if stated is not None and shown is not (stated if stated in (FileStatus.ADDED, FileStatus.REMOVED) else None):
            raise DiffError("the headers of this file disagree on whether it is new or deleted", sides.number)
    # Names that differ without a rename are those of two files that "git diff --no-index" compared.
    return stated or shown or (FileStatus.MODIFIED if names.old == names.new else FileStatus.RENAMED)


def _name(line: bytes, number: int) -> tuple[bytes, bytes]:
    """The name and the timestamp on a "---" or "+++" line."""
    found = name_and_stamp(header_text(line, number)[len(OLD_NAME) :])
    if found is None:
        raise DiffError("malformed quoting of a path", number)
    return found


def _read_content(lines: Lines) -> tuple[Hunk, ...]:
    hunks = read_hunks(lines)
    if not hunks:
        raise lines.error("the names of a file are not followed by a hunk")
    return hunks


def _skip_binary(lines: Lines) -> bool:
    """Pass over "Binary files ... differ" or the data of a binary patch; say whether there was one."""
    if lines.current.startswith(b"Binary files ") and lines.current.rstrip(b"\n").endswith(b" differ"):
        lines.advance()
        return True
    if lines.current != b"GIT binary patch\n":
        return False
    lines.advance()
    if _BINARY_DATA.fullmatch(lines.current) is None:
        raise lines.error("a binary patch without data")
    while _BINARY_DATA.fullmatch(lines.current) is not None:  # the new content, then the old one
        while lines.current not in (b"\n", b""):
            lines.advance()
        if not lines.current:
            raise lines.error("the diff ends inside a binary patch")
        lines.advance()
    return True
