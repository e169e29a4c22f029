"""What an analyzer is given and what it answers."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from services.kit.diff.model import Hunk, Side
from services.review.domain import Claim, Fate, Severity, Source, SourceKind

MAX_TITLE, MAX_BODY = 80, 2000


class AddedLine(NamedTuple):
    """A line that the change adds, with its number in the new file; invalid bytes are U+FFFD."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Target:
    """A changed file that is worth reading. `head` is the whole new file where it is known and not too large.

    `copy` is the name of the copy in the child's folder, which says nothing of the real path but its extension.
    `hunks` are what became of the file, with the lines that it lost.
    """

    path: str
    extension: str  # lower case, without the dot
    added: tuple[AddedLine, ...]
    head: bytes | None = None
    copy: str | None = None
    hunks: tuple[Hunk, ...] = ()

    @property
    def is_supporting(self) -> bool:
        """Whether the path is one of tests, examples or documentation, where made-up values are usual."""
        parts = self.path.lower().replace("\\", "/").split("/")
        name = parts[-1]
        folders = {"test", "tests", "testdata", "spec", "specs", "__tests__", "fixtures", "examples", "example", "docs"}
        return (
            not folders.isdisjoint(parts[:-1])
            or name.startswith(("test_", "conftest"))
            or any(mark in name for mark in ("_test.", ".test.", ".spec.", "_spec.", ".example", ".sample"))
            or self.extension in {"md", "rst", "adoc", "txt"}
        )


class Deadline:
    """A point in time by which an analyzer stops by itself, so that what it found is kept."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.remaining == 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an analyzer says about all targets together."""

    claims: tuple[Claim, ...]
    fate: Fate = Fate.RAN
    reason: str | None = None


class Analyzer(Protocol):
    """One deterministic reviewer; it may trust nothing in the targets and may raise anything."""

    @property
    def name(self) -> str:
        """The name in the receipt."""

    def version(self) -> str:
        """The version in the receipt; may be asked before `run`."""

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        """Read the targets, whose copies lie in `folder`, and stop at the deadline."""


def installed_version(distribution: str) -> str:
    """The version of an installed distribution by its folder name, empty where there is none.

    importlib.metadata would say the same, but costs a quarter of the child's start.
    """
    for entry in sys.path:
        for found in Path(entry).glob(f"{distribution}-*.dist-info"):
            return found.name.removeprefix(f"{distribution}-").removesuffix(".dist-info")
    return ""


def claim(
    analyzer: str,
    rule: str,
    target: Target,
    line: AddedLine,
    severity: Severity,
    category: str,
    title: str,
    body: str,
    confidence: float = 1.0,
) -> Claim:
    """A claim about one added line, its texts cut to what a comment can hold."""
    return Claim(
        path=target.path,
        side=Side.RIGHT,
        quote=line.text,
        severity=severity,
        category=category,
        title=title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…",
        body=body if len(body) <= MAX_BODY else body[: MAX_BODY - 1] + "…",
        source=Source(SourceKind.ANALYZER, analyzer, rule),
        confidence=confidence,
        near_line=line.number,
    )


def stopped(claims: Sequence[Claim], done: int, total: int) -> Outcome:
    """The outcome of an analyzer that ran out of time after `done` of `total` files."""
    return Outcome(tuple(claims), Fate.PARTIAL, f"out of time after {done} of {total} files")
