"""The lines between "diff --git" and the content: modes, renames, similarity, object ids."""

import re
from dataclasses import dataclass

from services.kit.diff.lines import Lines, header_text
from services.kit.diff.model import FileStatus
from services.kit.diff.paths import Pair, split_git_line, unquote

GIT_LINE = b"diff --git "

_MODE = re.compile(rb"[0-7]{6}")
_PERCENT = re.compile(rb"(\d{1,3})%")
_INDEX = re.compile(rb"[0-9a-f]+\.\.[0-9a-f]+(?: ([0-7]{6}))?")


@dataclass(slots=True)
class GitHeader:
    """What git says of a file before its content; `names` are exact where they are not None."""

    names: Pair | None
    old_mode: str | None = None
    new_mode: str | None = None
    status: FileStatus | None = None
    similarity: int | None = None
    moved_from: bytes | None = None
    moved_to: bytes | None = None


def read_git_header(lines: Lines) -> GitHeader:
    """Read from the "diff --git" line up to the first line that is no header of git's; raise DiffError."""
    start = lines.number
    header = GitHeader(split_git_line(header_text(lines.current, lines.number)[len(GIT_LINE) :]))
    lines.advance()
    while True:
        field = next((name for name in _FIELDS if lines.current.startswith(name)), None)
        if field is None:
            break
        _FIELDS[field](header, lines, header_text(lines.current, lines.number)[len(field) :])
        lines.advance()
    if header.status in (FileStatus.RENAMED, FileStatus.COPIED):
        if header.moved_from is None or header.moved_to is None:
            raise lines.error(f"the rename or copy of line {start} names only one of its two paths")
        header.names = Pair(header.moved_from, header.moved_to)
    return header


def _path(lines: Lines, value: bytes) -> bytes:
    path = unquote(value)
    if path is None:
        raise lines.error("malformed quoting of a path")
    return path


def _mode(lines: Lines, value: bytes) -> str:
    if _MODE.fullmatch(value) is None:
        raise lines.error("malformed file mode")
    return value.decode("ascii")


def _set_status(header: GitHeader, lines: Lines, status: FileStatus) -> None:
    if header.status not in (None, status):
        raise lines.error("this header contradicts an earlier one of the same file")
    header.status = status


def _old_mode(header: GitHeader, lines: Lines, value: bytes) -> None:
    header.old_mode = _mode(lines, value)


def _new_mode(header: GitHeader, lines: Lines, value: bytes) -> None:
    header.new_mode = _mode(lines, value)


def _new_file(header: GitHeader, lines: Lines, value: bytes) -> None:
    _set_status(header, lines, FileStatus.ADDED)
    header.new_mode = _mode(lines, value)


def _deleted_file(header: GitHeader, lines: Lines, value: bytes) -> None:
    _set_status(header, lines, FileStatus.REMOVED)
    header.old_mode = _mode(lines, value)


def _rename_from(header: GitHeader, lines: Lines, value: bytes) -> None:
    _set_status(header, lines, FileStatus.RENAMED)
    header.moved_from = _path(lines, value)


def _rename_to(header: GitHeader, lines: Lines, value: bytes) -> None:
    _set_status(header, lines, FileStatus.RENAMED)
    header.moved_to = _path(lines, value)


def _copy_from(header: GitHeader, lines: Lines, value: bytes) -> None:
    _set_status(header, lines, FileStatus.COPIED)
    header.moved_from = _path(lines, value)


def _copy_to(header: GitHeader, lines: Lines, value: bytes) -> None:
    _set_status(header, lines, FileStatus.COPIED)
    header.moved_to = _path(lines, value)


def _similarity(header: GitHeader, lines: Lines, value: bytes) -> None:
    match = _PERCENT.fullmatch(value)
    if match is None or int(match[1]) > 100:
        raise lines.error("malformed similarity index")
    header.similarity = int(match[1])


def _dissimilarity(header: GitHeader, lines: Lines, value: bytes) -> None:
    if _PERCENT.fullmatch(value) is None:
        raise lines.error("malformed dissimilarity index")


def _index(header: GitHeader, lines: Lines, value: bytes) -> None:
    match = _INDEX.fullmatch(value)
    if match is None:
        raise lines.error("malformed index line")
    if match[1] is not None:  # named here when it is the same on both sides
        header.old_mode = header.new_mode = match[1].decode("ascii")


_FIELDS = {
    b"index ": _index,
    b"new file mode ": _new_file,
    b"deleted file mode ": _deleted_file,
    b"old mode ": _old_mode,
    b"new mode ": _new_mode,
    b"similarity index ": _similarity,
    b"dissimilarity index ": _dissimilarity,
    b"rename from ": _rename_from,
    b"rename to ": _rename_to,
    b"copy from ": _copy_from,
    b"copy to ": _copy_to,
}
