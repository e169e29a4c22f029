"""What a schema can't say about reviews and comments: bodies, events, and lines that are part of the diff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulators.github.diff import FileDiff, Hunk
from emulators.github.model import Anchor, Limits, PullRequest, PullState, User

STATES = {"COMMENT": "COMMENTED", "APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED"}

NOT_IN_DIFF = "Pull request review thread line must be part of the diff"
START_NOT_IN_HUNK = "Pull request review thread start line must be part of the same hunk as the line."
START_NOT_BEFORE = "Pull request review thread start line must precede the end line."
BLANK_HUNK = "Pull request review thread diff hunk can't be blank"
BAD_POSITION = "Pull request review thread position is invalid"
BAD_PATH = "Path could not be resolved"
BAD_SIDE = "Pull request review thread side must be LEFT or RIGHT"
BAD_COMMIT = "The end commit oid is not part of the pull request"
ONE_PENDING = "User can only have one pending review per pull request"
TOO_LONG = "body is too long (maximum is {limit} characters)"
BLANK_BODY = "body can't be blank"


def body_errors(body: str | None, limits: Limits, *, required: bool) -> list[str]:
    """Says what is wrong with the text of a review or comment."""
    if body is not None and len(body) > limits.body_characters:
        return [TOO_LONG.format(limit=limits.body_characters)]
    if required and not (body or "").strip():
        return [BLANK_BODY]
    return []


def event_errors(event: str | None, pull: PullRequest, user: User) -> list[str]:
    """Says why this user may not give this verdict on this pull request."""
    if user.id == pull.author.id and event in ("APPROVE", "REQUEST_CHANGES"):
        return [f"Can not {event.lower().replace('_', ' ')} {'on ' * (event[0] == 'R')}your own pull request"]
    return []


def shown_patches(state: PullState, limits: Limits) -> dict[str, FileDiff]:
    """Returns the files that have a patch on the host, by name: those within the limits of a file and of the whole."""
    shown: dict[str, FileDiff] = {}
    lines = size = 0
    for file in state.files[: limits.files]:
        if file.patch is None or file.patch_lines > limits.file_lines or len(file.patch) > limits.file_bytes:
            continue
        lines, size = lines + file.patch_lines, size + len(file.patch)
        if lines > limits.diff_lines or size > limits.diff_bytes:
            break
        shown[file.name] = file
    return shown


def anchor(comment: Mapping[str, Any], state: PullState, limits: Limits) -> Anchor | str:
    """Returns where the comment stands in that state of the pull request, or the host's complaint."""
    path = comment["path"]
    if state.file(path) is None:
        return BAD_PATH
    file = shown_patches(state, limits).get(path)
    if file is None:
        return BLANK_HUNK
    side, line = comment.get("side") or "RIGHT", comment.get("line")
    start_line = comment.get("start_line")
    start_side = comment.get("start_side") or side
    start_side = side if start_side == "side" else start_side
    if line is None:
        if comment.get("position") is None or start_line is not None:
            return NOT_IN_DIFF
        placed = file.at_position(comment["position"])
        if placed is None:
            return BAD_POSITION
        side, line = placed
    elif comment.get("position") is not None:
        return BAD_POSITION
    if {side, start_side} - {"LEFT", "RIGHT"}:
        return BAD_SIDE
    return _placed(file, side, line, start_side, start_line)


def _placed(file: FileDiff, side: str, line: int, start_side: str, start_line: int | None) -> Anchor | str:
    end = file.find(side, line)
    if end is None:
        return NOT_IN_DIFF
    hunk = file.hunks[end[0]]
    if start_line is not None:
        if start_side == side and start_line >= line:
            return START_NOT_BEFORE
        start = hunk.index(start_side, start_line)
        if start is None:
            return START_NOT_IN_HUNK
        if start >= end[1]:
            return START_NOT_BEFORE
    return Anchor(
        path=file.name,
        side=side,
        line=line,
        start_side=start_side if start_line is not None else None,
        start_line=start_line,
        position=hunk.rows[end[1]].position,
        hunk_text=_excerpt(hunk, end[1]),
    )


def _excerpt(hunk: Hunk, row: int) -> str:
    lines = [hunk.header, *(item.text for item in hunk.rows[: row + 1])]
    return b"\n".join(lines).decode("utf-8", "replace")
