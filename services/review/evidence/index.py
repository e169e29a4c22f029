"""Finding runs of lines in one side of a file, each line indexed once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from services.review.evidence.quote import SEPARATOR, TAB_WIDTHS, Reading, indent_of, indent_steps, key_of

MAX_PLACES = 256  # a quote whose rarest line stands in more places is compared at this many of them only
MAX_PARTIAL_PLACES = 64  # a line that stands in more places is no anchor for a part of a quote


class Hit(NamedTuple):
    """Rows `row` to `row + length - 1` are the quote's lines from `offset` on."""

    row: int
    length: int
    offset: int
    reading: Reading
    exact: bool


class LineIndex:
    """Rows of text, `SEPARATOR` between runs that no match may cross; marked rows begin with their diff mark.

    `compared` counts the places examined so far; a search examines a bounded number of them, however large the index.
    """

    def __init__(self, rows: Sequence[str], marked: bool) -> None:
        self.compared = 0
        self._rows = rows
        self._marked = marked
        self._keys = [SEPARATOR if row == SEPARATOR else key_of(row, marked) for row in rows]
        names: dict[str, int] = {}
        self._ids = [names.setdefault(key, len(names)) for key in self._keys]
        self._names = names
        self._places: dict[int, list[int]] = defaultdict(list)
        for row, name in enumerate(self._ids):
            self._places[name].append(row)
        self._steps: dict[int, list[int]] = {}

    @cached_property
    def _has_tabs(self) -> bool:
        return any("\t" in indent_of(row, self._marked) for row in self._rows)

    def _widths(self, reading: Reading) -> tuple[int, ...]:
        return TAB_WIDTHS if self._has_tabs or reading.has_tabs else TAB_WIDTHS[:1]

    def _row_steps(self, width: int) -> list[int]:
        if width not in self._steps:
            self._steps[width] = indent_steps(self._rows, self._keys, self._marked, width)
        return self._steps[width]

    def whole(self, reading: Reading, first: Iterable[int] = ()) -> tuple[list[Hit], bool]:
        """Return where all lines of `reading` stand, and whether every possible place was compared.

        The rows in `first` are compared before any other and whatever the limit.
        """
        wanted = [self._names.get(key, -1) for key in reading.keys]
        if -1 in wanted:
            return [], True
        anchor = min((at for at, key in enumerate(reading.keys) if key), key=lambda at: len(self._places[wanted[at]]))
        places = self._places[wanted[anchor]]
        starts = dict.fromkeys([*first, *(place - anchor for place in islice(places, MAX_PLACES))])
        hits = []
        for start in starts:
            self.compared += 1
            if start < 0 or self._ids[start : start + len(wanted)] != wanted:
                continue
            exact = self._rows[start : start + len(wanted)] == list(reading.lines)
            if exact or self._is_shifted(start, reading):
                hits.append(Hit(start, len(wanted), 0, reading, exact))
        return hits, len(places) <= MAX_PLACES

    def _is_shifted(self, start: int, reading: Reading) -> bool:
        stop = start + len(reading.lines)
        return any(
            self._row_steps(width)[start + 1 : stop] == reading.steps(width)[1:] for width in self._widths(reading)
        )

    def parts(self, reading: Reading) -> Iterator[Hit]:
        """Yield the longest runs through the middle of `reading` that hold at least half of its non-blank lines.

        A run of half the lines or more holds one of the two middle ones. A run without any letter or digit says
        nothing about where it is from.
        """
        solid = [at for at, key in enumerate(reading.keys) if key]
        for anchor in sorted({solid[(len(solid) - 1) // 2], solid[len(solid) // 2]}):
            places = self._places.get(self._names.get(reading.keys[anchor], -1), [])
            if len(places) > MAX_PARTIAL_PLACES:
                continue
            for place in places:
                for width in self._widths(reading):
                    hit = self._grow(place, anchor, width, reading)
                    stop = hit.offset + hit.length
                    solid_lines = sum(map(bool, reading.keys[hit.offset : stop]))
                    if 2 * solid_lines >= len(solid) and any(reading.wordy[hit.offset : stop]):
                        yield hit

    def _grow(self, place: int, anchor: int, width: int, reading: Reading) -> Hit:
        """Return the longest run of equal lines, equally indented, around one line that is equal."""
        keys, wanted, found = reading.keys, reading.steps(width), self._row_steps(width)
        base = place - anchor
        self.compared += 1
        last = anchor
        while last + 1 < len(keys) and base + last + 1 < len(self._keys):
            at = last + 1
            if keys[at] != self._keys[base + at] or (keys[at] and wanted[at] != found[base + at]):
                break
            last = at
        first = anchor
        # The step of a line speaks of the line above it, so it is checked before going up.
        while first > 0 and base + first > 0 and not (keys[first] and wanted[first] != found[base + first]):
            if keys[first - 1] != self._keys[base + first - 1]:
                break
            first -= 1
        while not keys[first]:
            first += 1
        while not keys[last]:
            last -= 1
        return Hit(base + first, last - first + 1, first, reading, False)
