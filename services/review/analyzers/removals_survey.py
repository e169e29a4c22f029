"""What a change as a whole brings and loses, which tells a removal from a move."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.kit.diff.model import Hunk, LineKind
from services.review.analyzers.removals_words import CODE, DEFINITION, TEST_PATH
from services.review.analyzers.target import Target

NAME = re.compile(r"[A-Za-z_$][\w$]{3,}")
# Words put together are names; a plain word that is gone from the code may have been any word.
_PUT_TOGETHER = re.compile(r"\b(?=\w{8})(?:_*[A-Za-z]+_\w+|[A-Za-z]*[a-z][A-Z]\w*)")
_LARGE = 200  # changed lines of code and tests
_MOVED_LINE = 12  # characters from which a line that comes back is no accident


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a hunk as text, `number` on the side that has it (the new one for context)."""

    kind: LineKind
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Whole:
    """What all files of the change together bring and lose."""

    brought: str  # every added line
    lines: frozenset[str]  # the same without indentation, those long enough to be told apart
    lost: frozenset[str]  # names whose definition went and did not come back
    unsaid: frozenset[str]  # words that the code, as far as the diff shows it, does not say any more
    has_code: bool  # whether more is changed than tests
    is_large: bool  # whether so much is changed that tests go with what they tested, or come back in another form

    def brings(self, text: str) -> bool:
        """Whether `text` is among the added lines, as a whole word where it is one."""
        if re.fullmatch(r"\w+", text):
            return re.search(rf"\b{re.escape(text)}\b", self.brought) is not None
        return text in self.brought

    def lost_with(self, rows: Sequence[Row]) -> bool:
        """Whether the lines speak of something that the change takes away."""
        return any(name in self.lost for row in rows for name in NAME.findall(row.text))

    def outdated(self, rows: Sequence[Row]) -> bool:
        """Whether the lines name something that the code, as far as the diff shows it, does not name any more."""
        return any(name in self.unsaid for row in rows for name in _PUT_TOGETHER.findall(row.text))

    def unsaid_with(self, text: str) -> bool:
        """Whether `text` has a word that the change takes out of the code."""
        return any(name in self.unsaid for name in NAME.findall(text))

    def moved(self, rows: Sequence[Row]) -> bool:
        """Whether at least half of the lines come back somewhere."""
        told = [row.text.strip() for row in rows if len(row.text.strip()) >= _MOVED_LINE]
        return bool(told) and 2 * sum(text in self.lines for text in told) >= len(told)


def survey(targets: Sequence[Target]) -> Whole:
    """Read once what the change brings and loses."""
    brought = [line.text for target in targets for line in target.added]
    defined: set[str] = set()
    lost: set[str] = set()
    said: set[str] = set()
    unsaid: set[str] = set()
    has_code = False
    size = 0
    for target in targets:
        if target.extension not in CODE:
            continue
        is_test = bool(TEST_PATH.search(target.path))  # a test that goes is not what it tests
        has_code = has_code or not is_test
        for row in (row for hunk in target.hunks for row in rows_of(hunk)):
            names = _definitions(row)
            gone = row.kind is LineKind.REMOVED
            size += row.kind is not LineKind.CONTEXT
            if not gone:
                defined |= names if row.kind is LineKind.ADDED else set()
            elif not is_test:
                lost |= names
            if not is_test:
                (unsaid if gone else said).update(NAME.findall(row.text))
    stripped = frozenset(text.strip() for text in brought if len(text.strip()) >= _MOVED_LINE)
    return Whole(
        "\n".join(brought),
        stripped,
        frozenset(lost - defined),
        frozenset(unsaid - said),
        has_code,
        size > _LARGE,
    )


def _definitions(row: Row) -> set[str]:
    found = None if row.kind is LineKind.CONTEXT else DEFINITION.match(row.text)
    return {name for name in found.groupdict().values() if name and len(name) > 3} if found else set()


def rows_of(hunk: Hunk) -> Iterator[Row]:
    """Yield the lines of a hunk as text, cut where they are very long."""
    for kind, old, new, text, _ in hunk.lines():
        number = old if kind is LineKind.REMOVED else new
        if number is not None:
            yield Row(kind, number, text[:2000].decode("utf-8", "replace"))
