"""Whether a position is one of the diff, by GitLab's rules: known shas, both paths, numbers that correspond."""

from __future__ import annotations

import hashlib
from typing import Any

from emulators.github.diff import FileDiff, Hunk, Row
from emulators.gitlab.model import Anchor, MergeRequest, Version

_REFS = ("base_sha", "start_sha", "head_sha")
KEYS = frozenset({"position_type", *_REFS, "old_path", "new_path", "old_line", "new_line", "line_range"})
_END_KEYS = frozenset({"line_code", "type", "old_line", "new_line"})
BAD_LINE = {"line_code": ["can't be blank", "must be a valid line code"]}


class PositionError(Exception):
    """The position is none; `message` is the host's, `violation` tells of what no good client sends."""

    def __init__(self, message: Any, violation: str | None = None) -> None:
        super().__init__(str(message))
        self.message = message
        self.violation = violation


def place(request: MergeRequest, position: Any) -> Anchor:
    """Returns the line that a position names; PositionError when it is none of the diff's."""
    if not isinstance(position, dict) or set(position) - KEYS:
        raise PositionError({"position": ["is invalid"]}, f"position with {sorted(set(position) - KEYS)}")
    if position.get("position_type") != "text":
        raise PositionError({"position": ["is incomplete"]}, "position_type is not text")
    missing = [name for name in (*_REFS, "old_path", "new_path") if not isinstance(position.get(name), str)]
    if missing:
        raise PositionError({"position": ["is incomplete"]}, f"position without {', '.join(missing)}")
    version = _version(request, position)
    file = next((one for one in version.files if one.name == position["new_path"]), None)
    if file is None or file.old_path.decode("utf-8", "replace") != position["old_path"]:
        raise PositionError(BAD_LINE)
    hunk, row = _row(file, position.get("old_line"), position.get("new_line"))
    side = "LEFT" if row.new is None else "RIGHT"
    start = _range(file, hunk, row, position["line_range"]) if "line_range" in position else None
    first = None if start is None else start.number(side) or start.old or start.new
    return Anchor(side, row.number(side) or 0, first)


def _version(request: MergeRequest, position: dict[str, Any]) -> Version:
    wanted = tuple(position[name] for name in _REFS)
    for version in request.versions:
        if (version.base, version.start, version.head) == wanted:
            return version
    raise PositionError(BAD_LINE)


def _row(file: FileDiff, old: Any, new: Any) -> tuple[Hunk, Row]:
    """A row is named by exactly the numbers it has: an unchanged line by both."""
    for hunk in file.hunks:
        for row in hunk.rows:
            if (row.old, row.new) == (old, new):
                return hunk, row
    raise PositionError(BAD_LINE)


def _range(file: FileDiff, hunk: Hunk, last: Row, given: Any) -> Row:
    if not isinstance(given, dict) or set(given) != {"start", "end"}:
        raise PositionError({"position": ["is invalid"]}, "line_range is not start and end")
    ends: list[Row] = []
    for name in ("start", "end"):
        end = given[name]
        if not isinstance(end, dict) or set(end) - _END_KEYS or end.get("type") not in ("new", "old"):
            raise PositionError({"position": ["is invalid"]}, f"line_range.{name} is not of GitLab's shape")
        _, row = _row(file, end.get("old_line"), end.get("new_line"))
        if row not in hunk.rows or end.get("line_code") != line_code(file, hunk, row):
            raise PositionError(BAD_LINE)
        ends.append(row)
    if ends[1] != last or hunk.rows.index(ends[0]) > hunk.rows.index(ends[1]):
        raise PositionError(BAD_LINE, "line_range does not end at the line, or is the wrong way round")
    return ends[0]


def line_code(file: FileDiff, hunk: Hunk, row: Row) -> str:
    """Returns GitLab's name for a line: the hash of the path, and both counters as they stand there."""
    old, new = (int(part[1:].split(b",")[0]) for part in hunk.header.split(b" ")[1:3])
    for one in hunk.rows:
        if one is row:
            break
        old += one.old is not None
        new += one.new is not None
    digest = hashlib.sha1(file.path, usedforsecurity=False).hexdigest()
    return f"{digest}_{old}_{new}"
