"""What one call was shown of a diff, and where each shown line stands in the diff as stored."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from services.kit.diff.model import FileDiff, Line, Side

Mask = Callable[[Sequence[str]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines of one hunk: `file` and `hunk` are indices, `start` and `stop` count the hunk's lines from 0."""

    file: int
    hunk: int
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class Shown:
    """Which lines a call was shown, and as what text; by default every line, unmasked.

    `mask` gets the text of a whole hunk's lines, both sides in diff order, and returns as many lines as shown.
    """

    parts: tuple[Part, ...] | None = None
    mask: Mask | None = None

    @cached_property
    def _by_hunk(self) -> dict[tuple[int, int], list[Part]]:
        found: dict[tuple[int, int], list[Part]] = defaultdict(list)
        for part in self.parts or ():
            found[part.file, part.hunk].append(part)
        return found

    def includes(self, file: int, hunk: int, line: int) -> bool:
        """Tell whether the `line`-th line of the hunk, from 0, was shown."""
        if self.parts is None:
            return True
        parts = self._by_hunk.get((file, hunk), ())
        return any(part.start <= line and (part.stop is None or line < part.stop) for part in parts)

    def includes_hunk(self, file: int, hunk: int) -> bool:
        """Tell whether any line of the hunk can have been shown."""
        return self.parts is None or (file, hunk) in self._by_hunk

    def texts(self, lines: Sequence[Line]) -> Sequence[str]:
        """Return the lines of one hunk as shown; ValueError where the mask changed their number or broke one."""
        plain = [line_text(line.text) for line in lines]
        if self.mask is None:
            return plain
        masked = self.mask(plain)
        if len(masked) != len(plain) or any("\n" in text for text in masked):
            raise ValueError("a mask must return one line for each line it is given")
        return masked


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive lines of one side inside one hunk: `lines` as stored, `texts` as shown, numbered from `first`."""

    file: int
    hunk: int
    first: int
    lines: tuple[Line, ...]
    texts: tuple[str, ...]


def line_text(stored: bytes) -> str:
    """Return a stored line as text: invalid UTF-8 as U+FFFD, a carriage return kept."""
    return stored.decode("utf-8", "replace")


def segments_of(file: FileDiff, number: int, side: Side, shown: Shown) -> Iterator[Segment]:
    """Yield the shown lines of one side of `file`, number `number` of its diff, split wherever lines are missing."""
    for place, hunk in enumerate(file.hunks):
        if not shown.includes_hunk(number, place):
            continue
        lines = tuple(hunk.lines())
        run: list[tuple[Line, str]] = []
        first = 0
        for index, (line, text) in enumerate(zip(lines, shown.texts(lines), strict=True)):
            at = line.number(side)
            if at is None or not shown.includes(number, place, index):
                continue
            if run and at != first + len(run):
                yield _segment(number, place, first, run)
                run = []
            if not run:
                first = at
            run.append((line, text))
        if run:
            yield _segment(number, place, first, run)


def _segment(file: int, hunk: int, first: int, run: Sequence[tuple[Line, str]]) -> Segment:
    return Segment(file, hunk, first, tuple(line for line, _ in run), tuple(text for _, text in run))
