"""Finds conflict markers that were committed: all three, in order, each on an added line of its own."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from services.review.analyzers.target import AddedLine, Deadline, Outcome, Target, claim, stopped
from services.review.domain import Claim, Severity

# Git's markers are seven characters at the start of the line; the outer ones are followed by a label.
_OURS = re.compile(r"<{7}(?: \S.*)?\r?$")
_MIDDLE = re.compile(r"={7}\r?$")
_THEIRS = re.compile(r">{7}(?: \S.*)?\r?$")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_PROSE = frozenset({"md", "markdown", "mdx", "rst", "adoc", "txt"})
_SAMPLES = re.compile(r"(?i)(?:^|/)(?:fixtures?|testdata|__snapshots__|__fixtures__|corpus|snapshots|samples)(?:/|$)")
_MAX_SIDES = 2000  # lines between the outer markers; farther apart they are not one conflict


class Conflicts:
    """The analyzer; see the module."""

    name = "conflicts"

    def version(self) -> str:
        """Our own, raised when the detection changes."""
        return "1"

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        """Claim each conflict at its first marker; samples for tests and blocks of code in prose are left alone."""
        claims: list[Claim] = []
        for done, target in enumerate(targets):
            if deadline.passed:
                return stopped(claims, done, len(targets))
            if not _SAMPLES.search(target.path):
                claims += [
                    claim(
                        self.name,
                        "conflict-marker",
                        target,
                        line,
                        Severity.HIGH,
                        "bug",
                        "A merge conflict was committed",
                        "Both versions and git's markers are in the file. Choose one, and remove the markers.",
                    )
                    for line in find(target)
                ]
        return Outcome(tuple(claims))


def find(target: Target) -> Iterator[AddedLine]:
    """Yield the first line of each conflict in `target`."""
    fenced = _fenced(target) if target.extension in _PROSE else frozenset()
    start: AddedLine | None = None
    middle = False
    for line in target.added:
        if line.text[:7] not in ("<<<<<<<", "=======", ">>>>>>>") or line.number in fenced:
            continue
        if _OURS.match(line.text):
            start, middle = line, False
        elif start is not None and line.number - start.number <= _MAX_SIDES:
            if _THEIRS.match(line.text):
                if middle:
                    yield start
                start = None
            elif _MIDDLE.match(line.text):
                middle = True


def _fenced(target: Target) -> frozenset[int]:
    """The lines of Markdown's code blocks; without the whole file, nothing is known of what surrounds a line."""
    if target.head is None:
        return frozenset(line.number for line in target.added)
    inside = False
    numbers = []
    for number, text in enumerate(target.head.decode("utf-8", "replace").split("\n"), 1):
        if _FENCE.match(text):
            inside = not inside
        elif inside:
            numbers.append(number)
    return frozenset(numbers)
