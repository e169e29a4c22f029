"""What a model may see of a change: made and masked in the child, checked in the parent."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.kit.diff.model import Hunk, LineKind
from services.kit.redact import mask
from services.review.analyzers.frames import FrameError
from services.review.analyzers.prepare import MAX_LINE, Prepared
from services.review.domain import SourceFile
from services.review.evidence.paths import path_text
from services.review.evidence.shown import Part, Shown
from services.review.model_port import ShownFile, ShownHunk, ShownLine, SourceView

MAX_VIEW = 6 * 1024 * 1024  # bytes as JSON: more than any model is ever sent, less than half of what the child may say
_MAX_NUMBER = 2**31 - 1
_KINDS = {kind.value: kind for kind in LineKind}


@dataclass(frozen=True, slots=True)
class Display:
    """The view as a message, and which lines of the prepared files it shows."""

    message: Mapping[str, Any]
    shown: Shown


def masked(texts: Sequence[str]) -> list[str]:
    """The lines of a hunk with their secrets masked, as many as before."""
    return mask("\n".join(texts)).split("\n")


def make_view(prepared: Sequence[Prepared], files: Sequence[SourceFile], most: int = MAX_VIEW) -> Display:
    """Show the hunks of every file that is read, as long as there is room; hunks with overlong lines are not shown."""
    shown = Shown(mask=masked)
    parts: list[Part] = []
    entries: list[list[Any]] = []
    left_out: list[int] = []
    for number, (file, source) in enumerate(zip(prepared, files, strict=True)):
        if file.target is None:
            continue
        hunks = {place: _hunk(hunk, shown) for place, hunk in enumerate(file.diff.hunks) if _is_readable(hunk)}
        previous = None if source.previous_path is None else path_text(source.previous_path)
        entry = [number, previous, list(hunks.values())]
        size = len(json.dumps(entry))
        if size > most:
            left_out.append(number)
            continue
        most -= size
        entries.append(entry)
        parts += [Part(number, place) for place in hunks]
    message = {"type": "view", "files": entries, "left_out": left_out}
    return Display(message, Shown(tuple(parts), masked))


def _is_readable(hunk: Hunk) -> bool:
    return all(len(line) <= MAX_LINE for line in hunk.body.split(b"\n"))


def _hunk(hunk: Hunk, shown: Shown) -> list[Any]:
    lines = list(hunk.lines())
    texts = shown.texts(lines)
    section = masked([hunk.section.decode("utf-8", "replace")])[0]
    marked = [line.kind.value + text for line, text in zip(lines, texts, strict=True)]
    return [hunk.old_start, hunk.new_start, section, marked]


def decode_view(message: Mapping[str, Any], files: Sequence[SourceFile]) -> SourceView:
    """The view of `files`, numbered by the parent itself. Raises FrameError for anything malformed."""
    rows, left_out = message.get("files"), message.get("left_out")
    if not isinstance(rows, list) or not isinstance(left_out, list):
        raise FrameError("the child's view is malformed")
    seen: set[int] = set()
    shown = tuple(_shown_file(row, files, seen) for row in rows)
    return SourceView(shown, tuple(path_text(files[_index(number, files, seen)].path) for number in left_out))


def _index(number: object, files: Sequence[SourceFile], seen: set[int]) -> int:
    if type(number) is not int or not 0 <= number < len(files) or number in seen:
        raise FrameError("the child's view shows a file that it was not given")
    seen.add(number)
    return number


def _shown_file(row: object, files: Sequence[SourceFile], seen: set[int]) -> ShownFile:
    match row:
        case [number, (None | str()) as previous, list() as hunks]:
            file = files[_index(number, files, seen)]
            clean = None if previous is None else _text(previous)
            return ShownFile(path_text(file.path), file.status, clean, tuple(map(_shown_hunk, hunks)))
    raise FrameError("the child's view is malformed")


def _shown_hunk(hunk: object) -> ShownHunk:
    match hunk:
        case [int() as old, int() as new, str() as section, list() as lines] if min(old, new) >= 0:
            if max(old, new) + len(lines) > _MAX_NUMBER:
                raise FrameError("a line number of the child is out of range")
            return ShownHunk(_text(section), _numbered(old, new, lines))
    raise FrameError("the child's view is malformed")


def _numbered(old: int, new: int, lines: Sequence[object]) -> tuple[ShownLine, ...]:
    made = []
    for line in lines:
        kind = _KINDS.get(line[:1]) if isinstance(line, str) else None
        if kind is None or not isinstance(line, str) or "\n" in line:
            raise FrameError("a line of the child's view is malformed")
        on_old, on_new = kind is not LineKind.ADDED, kind is not LineKind.REMOVED
        made.append(ShownLine(kind, old if on_old else None, new if on_new else None, _text(line[1:])))
        old += on_old
        new += on_new
    return tuple(made)


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
