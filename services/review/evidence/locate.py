"""Binding a claim to the lines of a diff that its quote stands for, or saying why it can't be.

The rules, in this order; each prefers no place to a guessed one:

1. The path must name a file of the change (`PathBook`), the quote must hold a line that is not blank.
2. The whole quote is looked for among the lines of the claimed side that were shown, inside one hunk: (a) exactly,
   then (b) but for line ends, trailing blanks and one uniform shift of indentation, counted in columns with tabs 8,
   4 or 2 wide, or as copied from the diff with its marks. Blank lines at the ends of the quote are no evidence
   and are left off. Whole lines only: nothing is cut, joined, folded or normalised.
3. If the whole quote is in the file's content outside the hunks, the claim is outside the diff; if it is there inside
   a hunk, it was masked or not shown and counts as not found; rule 4 still binds what was shown of that place. If
   it is nowhere on the claimed side, but among the shown lines of the other one, it has the wrong side.
4. (c) The longest contiguous part of the quote, if it has at least half of the non-blank lines and a letter or digit.
   An elision counts as a line not found. If only the other side has such a part, the claim has the wrong side.
5. Among equal places: the one that begins at `near_line` (a line of the content that was not shown, if the
   quote is there, leaves all shown places out); else the only one; else the only one with a changed line;
   else the claim is ambiguous. Parts from different places of the quote are never chosen between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.kit.diff.model import FileDiff, Line, LineKind, Side
from services.review.domain import Claim, DropReason
from services.review.evidence.index import Hit
from services.review.evidence.lines import SideLines
from services.review.evidence.paths import PathBook, path_text
from services.review.evidence.quote import Reading, readings
from services.review.evidence.shown import Segment, Shown, line_text, segments_of
from services.review.evidence.suggestion import fitted

# Whole files, by the path findings speak of and the side; a renamed file's old content is under its new path.
Contents = Mapping[tuple[str, Side], bytes]


class Match(StrEnum):
    """How a quote was found."""

    EXACT = "exact"
    SHIFTED = "shifted"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Located:
    """Lines `start` to `end` of one hunk; `file` and `hunk` are indices, `quote` is cut from the diff as stored."""

    file: int
    hunk: int
    path: str
    side: Side
    start: int
    end: int
    quote: str
    match: Match
    replacement: str | None


@dataclass(frozen=True, slots=True)
class Missed:
    """A claim without a place; an ambiguous one has the path and the stored lines of its first place."""

    reason: DropReason
    path: str | None = None
    quote: str | None = None


class Locator:
    """Binds the claims of one call: `diff` as stored, what of it was `shown`, whole `contents` where they are known.

    Each side of a file is indexed once, when the first claim about it arrives.
    """

    def __init__(self, diff: Sequence[FileDiff], shown: Shown | None = None, contents: Contents | None = None) -> None:
        self._diff = diff
        self._shown = shown or Shown()
        self._contents = contents or {}
        self._book = PathBook(diff)
        self._lines: dict[tuple[tuple[int, ...], Side], SideLines] = {}
        self._whole_files: dict[tuple[tuple[int, ...], Side], SideLines] = {}

    @property
    def compared(self) -> int:
        """How many places were examined so far; bounded by a constant per claim, whatever the diff."""
        return sum(lines.compared for lines in (*self._lines.values(), *self._whole_files.values()))

    def locate(self, claim: Claim) -> Located | Missed:
        """Return the one place of the claim's quote, or why there is none."""
        name = self._book.name(claim.path)
        ways = readings(claim.quote)
        if name is None or not ways:
            return Missed(DropReason.QUOTE_NOT_FOUND)
        files = self._book.files(name, claim.side)
        lines = self._shown_lines(files, claim.side)
        hits, complete = lines.whole(ways, claim.near_line)
        if hits and claim.near_line is None:
            return self._bound(claim, name, lines, hits, complete)
        in_file = self._places_in_file(files, claim, ways)
        unseen = DropReason.OUTSIDE_DIFF if not all(in_file.values()) else DropReason.QUOTE_NOT_FOUND
        if hits and any(number == claim.near_line for _, number in in_file) and not _near(claim, lines, hits):
            return Missed(unseen)
        if hits:
            return self._bound(claim, name, lines, hits, complete)
        other = Side.LEFT if claim.side is Side.RIGHT else Side.RIGHT
        others = self._shown_lines(self._book.files(name, other), other)
        if not in_file and others.whole(ways)[0]:
            return Missed(DropReason.SIDE_MISMATCH)
        parts = lines.parts(ways)
        if in_file:
            parts = [hit for hit in parts if self._start_in_file(lines, hit) in in_file]
            if not parts:
                return Missed(unseen)
        if parts:
            return self._bound(claim, name, lines, parts, True)
        return Missed(DropReason.SIDE_MISMATCH if others.parts(ways) else DropReason.QUOTE_NOT_FOUND)

    def _bound(
        self, claim: Claim, name: str, lines: SideLines, hits: Sequence[Hit], complete: bool
    ) -> Located | Missed:
        hit = _chosen(claim, lines, hits, complete)
        segment, stored, texts = lines.cut(hit or hits[0])
        path = path_text(self._diff[segment.file].path)
        quote = lines.quote(hit or hits[0])
        if hit is None or self._book.is_shared(name) or self._book.is_shared(path):
            return Missed(DropReason.AMBIGUOUS, path, quote)
        whole = hit.length == len(hit.reading.lines)
        replacement = None
        if whole and claim.replacement is not None:
            replacement = fitted(claim.replacement, claim.side, hit, segment, stored, texts)
        start = lines.number(hit.row)
        match = Match.PARTIAL if not whole else Match.EXACT if hit.exact else Match.SHIFTED
        end = start + hit.length - 1
        return Located(segment.file, segment.hunk, path, claim.side, start, end, quote, match, replacement)

    def _shown_lines(self, files: tuple[int, ...], side: Side) -> SideLines:
        key = files, side
        if key not in self._lines:
            self._lines[key] = SideLines(
                segment for number in files for segment in segments_of(self._diff[number], number, side, self._shown)
            )
        return self._lines[key]

    def _places_in_file(
        self, files: tuple[int, ...], claim: Claim, ways: Sequence[Reading]
    ) -> dict[tuple[int, int], bool]:
        """Return file and first line of each place in the whole content, and whether a hunk, shown or not, holds it."""
        key = files, claim.side
        if key not in self._whole_files:
            self._whole_files[key] = SideLines(self._content_segments(files, claim.side))
        content = self._whole_files[key]
        hits, _ = content.whole([way for way in ways if not way.marked], claim.near_line)
        return {self._start_in_file(content, hit): self._is_in_hunk(content, hit, claim.side) for hit in hits}

    def _is_in_hunk(self, content: SideLines, hit: Hit, side: Side) -> bool:
        first = content.number(hit.row)
        spans = (
            (hunk.old_start, hunk.old_count) if side is Side.LEFT else (hunk.new_start, hunk.new_count)
            for hunk in self._diff[content.cut(hit)[0].file].hunks
        )
        return any(start <= first and first + hit.length <= start + count for start, count in spans)

    def _content_segments(self, files: tuple[int, ...], side: Side) -> list[Segment]:
        segments = []
        for number in files:
            content = self._contents.get((path_text(self._diff[number].path), side))
            if content is not None:
                stored = tuple(Line(LineKind.CONTEXT, None, None, text) for text in content.split(b"\n"))
                segments.append(Segment(number, -1, 1, stored, tuple(line_text(line.text) for line in stored)))
        return segments

    @staticmethod
    def _start_in_file(lines: SideLines, hit: Hit) -> tuple[int, int]:
        return lines.cut(hit)[0].file, lines.number(hit.row) - hit.offset - hit.reading.lead


def _chosen(claim: Claim, lines: SideLines, hits: Sequence[Hit], complete: bool) -> Hit | None:
    """Choose among equal places by rule 5; None where no rule tells them apart."""
    if len({(hit.offset + hit.reading.lead, hit.length) for hit in hits}) > 1:
        return None
    near = _near(claim, lines, hits)
    if len(near) == 1:
        return near[0]
    if not complete:
        return None
    changed = [hit for hit in hits if lines.is_changed(hit)]
    if len(hits) == 1 or len(changed) == 1:
        return hits[0] if len(hits) == 1 else changed[0]
    return None


def _near(claim: Claim, lines: SideLines, hits: Sequence[Hit]) -> list[Hit]:
    """Return the places at which line 0 of the quote is at `near_line`."""
    if claim.near_line is None:
        return []
    return [hit for hit in hits if lines.number(hit.row) - hit.offset - hit.reading.lead == claim.near_line]
