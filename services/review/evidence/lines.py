"""The lines of one side that a claim may be about, as numbered rows."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate

from services.kit.diff.model import Line, LineKind
from services.review.evidence.index import Hit, LineIndex
from services.review.evidence.quote import SEPARATOR, Reading
from services.review.evidence.shown import Segment, line_text


class SideLines:
    """Segments of one side laid out as rows, with a row between segments that matches nothing."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        self.segments = tuple(segments)
        self._starts = list(accumulate((len(segment.lines) + 1 for segment in self.segments), initial=0))

    @cached_property
    def _plain(self) -> LineIndex:
        return LineIndex([row for part in self.segments for row in (*part.texts, SEPARATOR)], marked=False)

    @cached_property
    def _marked(self) -> LineIndex:
        rows: list[str] = []
        for part in self.segments:
            rows += (line.kind.value + text for line, text in zip(part.lines, part.texts, strict=True))
            rows.append(SEPARATOR)
        return LineIndex(rows, marked=True)

    @cached_property
    def _rows_at(self) -> dict[int, list[int]]:
        rows: dict[int, list[int]] = defaultdict(list)
        for start, segment in zip(self._starts, self.segments, strict=False):
            for offset in range(len(segment.lines)):
                rows[segment.first + offset].append(start + offset)
        return rows

    @cached_property
    def _changes(self) -> list[int]:
        """How many changed lines stand before each row."""
        flags: list[int] = []
        for segment in self.segments:
            flags += (line.kind is not LineKind.CONTEXT for line in segment.lines)
            flags.append(0)
        return list(accumulate(flags, initial=0))

    @property
    def compared(self) -> int:
        """How many places were examined so far."""
        made = (self.__dict__.get(name) for name in ("_plain", "_marked"))
        return sum(index.compared for index in made if index is not None)

    def whole(self, readings: Sequence[Reading], near: int | None = None) -> tuple[list[Hit], bool]:
        """Return the places of the whole quote, and whether none can have been missed.

        Places that equal the verbatim quote exactly leave all others out; otherwise every place counts that is equal
        but for line ends, trailing blanks and one uniform shift, or is a copy from the diff with its marks.
        """
        found: dict[tuple[int, int], Hit] = {}
        complete = True
        for reading in readings:
            first = () if near is None else self._rows_at.get(near + reading.lead, ())
            hits, all_seen = (self._marked if reading.marked else self._plain).whole(reading, first)
            complete = complete and all_seen
            exact = [hit for hit in hits if hit.exact]
            if exact and not reading.marked:
                return exact, complete
            for hit in exact or hits:
                found.setdefault((hit.row, hit.length), hit)
        return list(found.values()), complete

    def parts(self, readings: Sequence[Reading]) -> list[Hit]:
        """Return the places of the longest part of the quote, by non-blank lines."""
        found: dict[tuple[int, int, int], Hit] = {}
        for reading in readings:
            for hit in (self._marked if reading.marked else self._plain).parts(reading):
                found.setdefault((hit.row, hit.length, hit.offset + reading.lead), hit)
        longest = max(map(_solid, found.values()), default=0)
        return [hit for hit in found.values() if _solid(hit) == longest]

    def number(self, row: int) -> int:
        """Return the line number of a row."""
        segment, offset = self._place(row)
        return segment.first + offset

    def is_changed(self, hit: Hit) -> bool:
        """Tell whether the place holds an added or removed line."""
        return self._changes[hit.row + hit.length] > self._changes[hit.row]

    def cut(self, hit: Hit) -> tuple[Segment, tuple[Line, ...], tuple[str, ...]]:
        """Return the segment a place is in, its lines as stored and as shown."""
        segment, offset = self._place(hit.row)
        span = slice(offset, offset + hit.length)
        return segment, segment.lines[span], segment.texts[span]

    def quote(self, hit: Hit) -> str:
        """Return the stored lines of a place as a finding quotes them."""
        return "\n".join(line_text(line.text) for line in self.cut(hit)[1])

    def _place(self, row: int) -> tuple[Segment, int]:
        at = bisect_right(self._starts, row) - 1
        return self.segments[at], row - self._starts[at]


def _solid(hit: Hit) -> int:
    return sum(map(bool, hit.reading.keys[hit.offset : hit.offset + hit.length]))
