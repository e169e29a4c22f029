"""Where lines stand in a diff: which ones a comment can be anchored to, what they say, what they were before."""

import io
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from services.kit.diff.model import Hunk, Side

_ADDED, _REMOVED, _NO_NEWLINE = b"+-\\"


class PositionMap:
    """The positions of one file's hunks, in the order the parser gives them; line numbers that are not there are fine.

    A line is in the diff on RIGHT if it is added or context, on LEFT if it is removed or context; an anchor is a range
    of such lines within one hunk (protocol facts A1.5). Whether an anchor is valid takes only the hunk headers; the
    text of a hunk is indexed (eight bytes a line and side) when it is first asked for.
    """

    def __init__(self, hunks: Sequence[Hunk]) -> None:
        self._hunks = tuple(hunks)
        self._spans = {side: _Spans(self._hunks, side) for side in Side}
        self._offsets: dict[int, dict[Side, array[int]]] = {}

    def hunk_of(self, side: Side, line: int) -> int | None:
        """The index of the hunk that has `line` on `side`; None if the line is not in the diff."""
        return self._spans[side].find(line)

    def anchor_hunk(self, side: Side, start: int, end: int) -> int | None:
        """The index of the one hunk that has all of `start`..`end` on `side`; None if that is no valid anchor."""
        index = self.hunk_of(side, start)
        return index if index is not None and start <= end < self._spans[side].ends[index] else None

    def valid_anchor(self, side: Side, start: int, end: int) -> bool:
        """Whether a comment can be anchored to lines `start`..`end` of `side`."""
        return self.anchor_hunk(side, start, end) is not None

    def text(self, side: Side, start: int, end: int) -> bytes:
        """Lines `start`..`end` joined by line feeds, no final one, CR kept; raises LookupError for no valid anchor."""
        index = self.anchor_hunk(side, start, end)
        if index is None:
            raise LookupError(f"lines {start} to {end} of {side} do not stand in one hunk of the diff")
        body, first = self._hunks[index].body, self._spans[side].starts[index]
        offsets = self._index(index)[side][start - first : end - first + 1]
        return b"\n".join(body[at + 1 : _line_end(body, at)] for at in offsets)

    def is_changed(self, side: Side, line: int) -> bool:
        """Whether `line` is an added line of RIGHT or a removed one of LEFT."""
        index = self.hunk_of(side, line)
        if index is None:
            return False
        at = self._index(index)[side][line - self._spans[side].starts[index]]
        return self._hunks[index].body[at] in (_ADDED, _REMOVED)

    def changed_lines(self, side: Side) -> Iterator[int]:
        """Yield the numbers of the added lines (RIGHT) or of the removed ones (LEFT), ascending."""
        for index, hunk in enumerate(self._hunks):
            first = self._spans[side].starts[index]
            for distance, at in enumerate(self._index(index)[side]):
                if hunk.body[at] in (_ADDED, _REMOVED):
                    yield first + distance

    def to_new(self, old: int) -> int | None:
        """The number of an unchanged old line in the new file; None for a removed one, and where the diff is silent."""
        return self._translate(old, Side.LEFT, Side.RIGHT)

    def to_old(self, new: int) -> int | None:
        """The number of an unchanged new line in the old file; None for an added one, and where the diff is silent."""
        return self._translate(new, Side.RIGHT, Side.LEFT)

    def _translate(self, line: int, here: Side, there: Side) -> int | None:
        if line < 1:
            return None
        index = self.hunk_of(here, line)
        if index is None:
            return self._translate_between(line, self._spans[here], self._spans[there])
        offsets = self._index(index)
        at = offsets[here][line - self._spans[here].starts[index]]
        distance = bisect_left(offsets[there], at)
        found = distance < len(offsets[there]) and offsets[there][distance] == at
        return self._spans[there].starts[index] + distance if found else None

    def _translate_between(self, line: int, here: "_Spans", there: "_Spans") -> int | None:
        """Translate a line outside the hunks: as far from the hunk before it on one side as on the other."""
        after = bisect_right(here.starts, line)  # an empty span starts where the line after it stands
        here_end, there_end = (here.ends[after - 1], there.ends[after - 1]) if after else (1, 1)
        if after < len(here.starts) and here.starts[after] - here_end != there.starts[after] - there_end:
            return None  # a change was left out here (as by "git diff -I"), and the diff does not say where
        return there_end + (line - here_end)

    def _index(self, index: int) -> dict[Side, "array[int]"]:
        """Where each line of a hunk starts in its body, by side; made once."""
        if index not in self._offsets:
            self._offsets[index] = _line_offsets(self._hunks[index])
        return self._offsets[index]


class _Spans:
    """The lines of one side that each hunk covers: from `starts[i]` up to, not including, `ends[i]`."""

    def __init__(self, hunks: Sequence[Hunk], side: Side) -> None:
        left = side is Side.LEFT
        self.starts = array("q", (hunk.old_first if left else hunk.new_first for hunk in hunks))
        counts = (hunk.old_count if left else hunk.new_count for hunk in hunks)
        self.ends = array("q", (start + count for start, count in zip(self.starts, counts, strict=True)))

    def find(self, line: int) -> int | None:
        """The index of the hunk that covers `line`, found in logarithmic time."""
        index = bisect_right(self.starts, line) - 1
        # An empty span starts where the next hunk may: the rightmost start is then still the one that can cover it.
        return index if index >= 0 and line < self.ends[index] else None


def _line_offsets(hunk: Hunk) -> dict[Side, "array[int]"]:
    left, right = array("Q"), array("Q")
    at = 0
    for raw in io.BytesIO(hunk.body):
        mark = raw[0]
        if mark != _NO_NEWLINE:
            if mark != _ADDED:
                left.append(at)
            if mark != _REMOVED:
                right.append(at)
        at += len(raw)
    return {Side.LEFT: left, Side.RIGHT: right}


def _line_end(body: bytes, at: int) -> int:
    end = body.find(b"\n", at)
    return end if end >= 0 else len(body)
