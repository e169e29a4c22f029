"""Hunks: read by the counts in their header, whatever the lines look like."""

import io
import re

from services.kit.diff.errors import DiffError
from services.kit.diff.lines import Lines
from services.kit.diff.model import Hunk

_HEADER = re.compile(
    rb"@@ -(?P<old>\d{1,18})(?:,(?P<olds>\d{1,18}))? \+(?P<new>\d{1,18})(?:,(?P<news>\d{1,18}))? @@ ?(?P<section>.*)",
    re.DOTALL,
)
_CONTEXT, _ADDED, _REMOVED, _MARKER, _FEED = b" +-\\\n"
_NO_NEWLINE = b"\\ "


def read_hunks(lines: Lines) -> tuple[Hunk, ...]:
    """Read the hunks that start at the current line, up to the first line that is no hunk; raise DiffError."""
    hunks: list[Hunk] = []
    old_end = new_end = 1  # the first line of either side that no hunk has covered yet
    while lines.current.startswith(b"@@"):
        number = lines.number
        hunk = _read_hunk(lines)
        if hunk.old_first < old_end or hunk.new_first < new_end:
            # Gaps are not compared: "git diff -I" leaves hunks out, so that both sides need not drift alike.
            raise DiffError("this hunk overlaps the one before it or stands out of order", number)
        old_end, new_end = hunk.old_first + hunk.old_count, hunk.new_first + hunk.new_count
        hunks.append(hunk)
    return tuple(hunks)


def _read_hunk(lines: Lines) -> Hunk:
    match = _HEADER.fullmatch(lines.current.removesuffix(b"\n"))
    if match is None:
        combined = lines.current.startswith(b"@@@")
        raise lines.error("combined diffs of merges are not supported" if combined else "malformed hunk header")
    old_start, old_count = _range(lines, match["old"], match["olds"])
    new_start, new_count = _range(lines, match["new"], match["news"])
    if not old_count and not new_count:
        raise lines.error("a hunk of no lines")
    return Hunk(old_start, old_count, new_start, new_count, match["section"], _read_body(lines, old_count, new_count))


def _range(lines: Lines, start: bytes, count: bytes | None) -> tuple[int, int]:
    first, length = int(start), 1 if count is None else int(count)
    if length and not first:
        raise lines.error("lines are counted from 1; only an empty side starts at 0")
    return first, length


def _read_body(lines: Lines, old: int, new: int) -> bytes:
    """Read the lines after a hunk header until `old` and `new` of them are used up; this loop is the hot path."""
    body = io.BytesIO()  # its value is handed over without a copy
    write = body.write
    taken, previous = 0, _MARKER
    for line in lines.rest:
        taken += 1
        mark = line[0]
        if mark == _CONTEXT:
            old -= 1
            new -= 1
        elif mark == _ADDED:
            new -= 1
        elif mark == _REMOVED:
            old -= 1
        elif mark == _MARKER:
            if not _ends_file(line, previous, old, new):
                raise DiffError("misplaced mark of a missing final newline", lines.number + taken)
        elif mark == _FEED:  # an empty context line whose blank was stripped; git writes and reads it too
            mark = _CONTEXT
            old -= 1
            new -= 1
        else:
            raise DiffError("a line inside a hunk starts with none of blank, + and -", lines.number + taken)
        write(line)
        if old < 1 > new:
            break
        previous = mark
    if old > 0 or new > 0:
        raise DiffError("the diff ends inside a hunk", lines.number + taken)
    if old or new:
        raise DiffError("a hunk has more lines on one side than its header says", lines.number + taken)
    lines.resume(taken)
    if lines.current.startswith(_NO_NEWLINE):
        write(lines.current)
        lines.advance()
    if lines.current[:1] in (b" ", b"+", b"-", b"\\") and not _may_follow(lines.current):
        raise lines.error("a hunk has more lines than its header says")
    return body.getvalue()


def _ends_file(marker: bytes, previous: int, old: int, new: int) -> bool:
    """Whether "\\ No newline at end of file" can stand after a line that began with `previous`."""
    if not marker.startswith(_NO_NEWLINE):
        return False
    return (previous == _REMOVED and old == 0) or (previous == _ADDED and new == 0)


def _may_follow(line: bytes) -> bool:
    """Whether a line that looks like hunk content is the next file of a plain diff or a mail's signature."""
    return line.startswith(b"--- ") or line.rstrip(b"\n") in (b"-- ", b"--")
