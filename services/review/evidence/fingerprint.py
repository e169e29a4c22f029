"""The identity of a finding from one head of a pull request to the next.

It is made of the path, the side, the rule (analyzers: name and rule id; models: the category, as their titles and even
the model vary), the quoted text without regard to blanks and blank lines, and, only where that text stands more than
once on its side of the file's hunks, the non-blank lines next to it and a count among places alike in that too.

It survives shifts of line numbers, rebases, re-indentation and edits of other lines. Limits: it changes when the file
is renamed, when the quoted text is edited, when a second copy of the text comes into the file's hunks or the last
other one leaves them, and, for text with copies, when a neighbouring line is edited or one more copy with the same
neighbours comes before it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from services.kit.diff.model import FileDiff, Side
from services.review.domain import Source, SourceKind
from services.review.evidence.shown import line_text

FINGERPRINT_VERSION = 1  # part of what is hashed: raised whenever one of the rules above changes
FINGERPRINT_CHARS = 32  # 128 bits as hexadecimal digits


def rule_key(source: Source, category: str) -> tuple[str, ...]:
    """Return what says that two findings at one place are the same complaint."""
    if source.kind is SourceKind.MODEL:
        return source.kind.value, category
    return source.kind.value, source.name, source.rule_id or category


def normalised(text: str) -> tuple[str, ...]:
    """Return the non-blank lines, each run of blanks in them as one space and none at their ends."""
    spaced = text.replace("\t", " ").replace("\r", " ")
    lines = (" ".join(filter(None, line.split(" "))) for line in spaced.split("\n"))
    return tuple(filter(None, lines))


def fingerprint(
    path: str, side: Side, source: Source, category: str, quote: str, discriminator: Sequence[str] = ()
) -> str:
    """Return 32 hexadecimal digits of SHA-256 over the identity."""
    digest = hashlib.sha256(f"lintel finding {FINGERPRINT_VERSION}\n".encode())
    # Each part goes in with its length, so that none can run into the next.
    for group in ((path, side.value), rule_key(source, category), normalised(quote), tuple(discriminator)):
        digest.update(f"{len(group)};".encode())
        for part in group:
            data = part.encode("utf-8", "surrogatepass")
            digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()[:FINGERPRINT_CHARS]


class Surroundings:
    """What tells copies of one text apart, on one side of one file's stored hunks."""

    def __init__(self, file: FileDiff, side: Side) -> None:
        self._rows: list[str] = []
        self._row_of: dict[int, int] = {}
        self._places: dict[str, list[int]] = defaultdict(list)
        self._known: dict[tuple[str, ...], dict[int, tuple[str, ...]]] = {}
        for hunk in file.hunks:
            for line in hunk.lines():
                number = line.number(side)
                text = normalised(line_text(line.text))
                if number is not None and text:
                    self._row_of[number] = len(self._rows)
                    self._rows += text
            self._rows.append("")  # no window crosses a hunk
        for row, text_of_row in enumerate(self._rows):
            self._places[text_of_row].append(row)

    def discriminator(self, start: int, quote: str) -> tuple[str, ...]:
        """Return () where the text of `quote` stands once, else its neighbours and its count among those with the same.

        `start` is the number of its first line, or of a blank one before it.
        """
        window = normalised(quote)
        if not window:
            return ()
        if window not in self._known:
            self._known[window] = self._told_apart(window)
        for number in range(start, start + quote.count("\n") + 1):
            if number in self._row_of:
                return self._known[window].get(self._row_of[number], ())
        return ()

    def _told_apart(self, window: tuple[str, ...]) -> dict[int, tuple[str, ...]]:
        wanted = list(window)
        anchor = min(range(len(wanted)), key=lambda at: len(self._places.get(wanted[at], ())))
        starts = (row - anchor for row in self._places.get(wanted[anchor], ()))
        found = [row for row in starts if row >= 0 and self._rows[row : row + len(wanted)] == wanted]
        if len(found) < 2:
            return {}
        seen: dict[tuple[str, str], int] = defaultdict(int)
        told: dict[int, tuple[str, ...]] = {}
        for row in found:
            neighbours = self._rows[row - 1] if row else "", self._rows[row + len(wanted)]
            told[row] = (*neighbours, str(seen[neighbours]))
            seen[neighbours] += 1
        return told
