"""A claimed quote as lines that can be searched for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

MAX_QUOTE_LINES = 100  # ten times what a model is asked for; longer quotes are not looked for
TAB_WIDTHS = (8, 4, 2)  # what editors and models turn a tab into
SEPARATOR = "\n"  # as text and key of a row that no line can equal, lines having no newline in them


def key_of(text: str, marked: bool) -> str:
    """Return the line without indentation, trailing blanks and line end, "" for a blank one.

    With `marked` the first character is a diff mark: it stays in front, except on a blank line, where tools trim it.
    """
    body = text[1:] if marked else text
    bare = body.rstrip(" \t\r").lstrip(" \t")
    return text[0] + bare if marked and bare else bare


def indent_of(text: str, marked: bool) -> str:
    """Return the spaces and tabs a line begins with, after its diff mark if it has one."""
    body = text[1:] if marked else text
    return body[: len(body) - len(body.lstrip(" \t"))]


def indent_steps(texts: Sequence[str], keys: Sequence[str], marked: bool, width: int) -> list[int]:
    """Return for each line by how many columns it stands right of the last non-blank one, tabs being `width` wide.

    Two runs of lines differ by one uniform shift exactly when their steps agree from the second line on.
    """
    steps: list[int] = []
    last: int | None = None
    for text, key in zip(texts, keys, strict=True):
        column = last
        if key == SEPARATOR:
            column = None
        elif key:
            column = len(indent_of(text, marked).expandtabs(width))
        steps.append(0 if last is None or column is None else column - last)
        last = column
    return steps


@dataclass(frozen=True)
class Reading:
    """One way to take a quote: its lines from the first to the last that is not blank.

    `lead` and `tail` count the blank lines left off. `marked` readings take the first character of each line as the
    mark of a diff, and match only lines that carry that mark.
    """

    lines: tuple[str, ...]
    marked: bool
    lead: int
    tail: int

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The lines without what tier (b) ignores."""
        return tuple(key_of(line, self.marked) for line in self.lines)

    @cached_property
    def wordy(self) -> tuple[bool, ...]:
        """Which lines hold a letter or a digit."""
        return tuple(any(map(str.isalnum, key)) for key in self.keys)

    @cached_property
    def has_tabs(self) -> bool:
        """Whether a tab takes part in the indentation."""
        return any("\t" in indent_of(line, self.marked) for line in self.lines)

    @cached_property
    def _steps(self) -> dict[int, list[int]]:
        return {}

    def steps(self, width: int) -> list[int]:
        """Indentation steps with tabs `width` wide, see `indent_steps`."""
        if width not in self._steps:
            self._steps[width] = indent_steps(self.lines, self.keys, self.marked, width)
        return self._steps[width]


def readings(quote: str) -> tuple[Reading, ...]:
    """Return the ways to take `quote`, the verbatim one first; none for a blank or an overlong one.

    One final newline ends the last line and is no line. Lines are split at "\\n" only, so that a form feed or U+2028
    stays inside its line. An elision ("...") is a line like any other: it is in the file or it is not.
    The quote is also read as copied from a diff where every non-blank line begins with "+", "-" or a space and
    at least one with "+" or "-"; a quote with spaces only is a shift by one column.
    """
    if quote.count("\n") > MAX_QUOTE_LINES:
        return ()
    lines = quote.removesuffix("\n").split("\n")
    found = [_trimmed(lines, marked=False)]
    marks = {line[0] for line in lines if line.strip(" \t\r")}
    if marks <= {"+", "-", " "} and marks & {"+", "-"}:
        found.append(_trimmed(lines, marked=True))
    return tuple(reading for reading in found if reading.lines)


def _trimmed(lines: Sequence[str], marked: bool) -> Reading:
    solid = [place for place, line in enumerate(lines) if key_of(line, marked)]
    if not solid:
        return Reading((), marked, 0, 0)
    first, last = solid[0], solid[-1]
    # A blank line of a marked quote may have lost its mark to trimming; a space in front makes it a line again.
    kept = tuple((line or " ") if marked else line for line in lines[first : last + 1])
    return Reading(kept, marked, first, len(lines) - 1 - last)
