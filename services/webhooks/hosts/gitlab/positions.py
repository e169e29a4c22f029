"""Where a comment stands in GitLab's words: both paths, the numbers a line has on each side, and codes for a range."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.kit.diff.errors import DiffError
from services.kit.diff.model import Hunk, LineKind
from services.kit.diff.parser import parse_patch
from services.webhooks.hosts.answers import item, sha, text
from services.webhooks.hosts.base import InlineComment


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a hunk with both counters as they stood there; `old` and `new` are None on a side without it."""

    old: int | None
    new: int | None
    old_counter: int
    new_counter: int


class Positions:
    """The places of one version of a merge request's diff."""

    def __init__(self, version: Any) -> None:
        self._refs = {
            "base_sha": sha(version, "base_commit_sha"),
            "start_sha": sha(version, "start_commit_sha"),
            "head_sha": sha(version, "head_commit_sha"),
        }
        diffs = item(version, "diffs")
        self._files: dict[tuple[str, bool], tuple[str, str, str]] = {}
        for diff in diffs if isinstance(diffs, list) else []:
            paths = (text(diff, "old_path"), text(diff, "new_path"), text(diff, "diff"))
            # A finding on the old side may name the file by either of its paths.
            self._files[paths[1], False] = paths
            self._files[paths[1], True] = paths
            self._files.setdefault((paths[0], True), paths)
        self._hunks: dict[str, list[list[_Row]]] = {}

    def place(self, comment: InlineComment) -> Mapping[str, Any] | None:
        """Answer the position of a comment; None if its lines are not all in one hunk on its side."""
        found = self._files.get((comment.path, comment.left))
        if found is None:
            return None
        old_path, new_path, diff = found
        for rows in self._rows(new_path, diff):
            by_line = {(row.old if comment.left else row.new): row for row in rows}
            lines = [by_line.get(line) for line in range(comment.start_line, comment.end_line + 1)]
            if lines and lines[0] is not None and lines[-1] is not None and None not in lines:
                return self._position(old_path, new_path, lines[0], lines[-1])
        return None

    def _rows(self, path: str, diff: str) -> Sequence[Sequence[_Row]]:
        if path not in self._hunks:
            try:
                hunks = parse_patch(diff.encode("utf-8", "surrogatepass"))
            except DiffError:  # binary, or cut
                hunks = ()
            self._hunks[path] = [_numbered(hunk) for hunk in hunks]
        return self._hunks[path]

    def _position(self, old_path: str, new_path: str, first: _Row, last: _Row) -> Mapping[str, Any]:
        position: dict[str, Any] = {
            "position_type": "text",
            **self._refs,
            "old_path": old_path,
            "new_path": new_path,
            **_numbers(last),
        }
        if first is not last:
            position["line_range"] = {"start": _end(new_path, first), "end": _end(new_path, last)}
        return position


def _numbered(hunk: Hunk) -> list[_Row]:
    rows: list[_Row] = []
    old, new = hunk.old_start, hunk.new_start
    for line in hunk.lines():
        rows.append(_Row(line.old, line.new, old, new))
        old += line.kind is not LineKind.ADDED
        new += line.kind is not LineKind.REMOVED
    return rows


def _numbers(row: _Row) -> dict[str, int]:
    """An added line has its new number only, a removed one its old, and an unchanged one needs both."""
    given = {"old_line": row.old, "new_line": row.new}
    return {name: value for name, value in given.items() if value is not None}


def _end(path: str, row: _Row) -> dict[str, Any]:
    digest = hashlib.sha1(path.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    return {
        "line_code": f"{digest}_{row.old_counter}_{row.new_counter}",
        "type": "old" if row.new is None else "new",
        **_numbers(row),
    }
