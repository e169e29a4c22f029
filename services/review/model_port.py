"""The port to whoever asks a language model: what a model is shown of a change, and what it may answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from services.kit.diff.model import LineKind
from services.review.domain import Claim, DropReason, ModelUse, Run


class ShownLine(NamedTuple):
    """A line as a model may see it: secrets masked, invalid bytes U+FFFD, without its line feed, CR kept."""

    kind: LineKind
    old: int | None  # its number on the LEFT side, None for an added line
    new: int | None  # its number on the RIGHT side, None for a removed line
    text: str


@dataclass(frozen=True, slots=True)
class ShownHunk:
    """One hunk with all its lines, in the order of the diff; `section` is what follows the second @@."""

    section: str
    lines: tuple[ShownLine, ...]


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A changed file that is worth reading; skipped ones are not shown. `path` is how claims must spell it."""

    path: str
    status: str  # added | removed | modified | renamed | copied | changed
    previous_path: str | None
    hunks: tuple[ShownHunk, ...]


@dataclass(frozen=True, slots=True)
class SourceView:
    """The change as the analysis child parsed it. Every text in it is untrusted.

    `left_out` names the files that did not fit into the view; the pipeline tells of them in the receipt.
    """

    files: tuple[ShownFile, ...]
    left_out: tuple[str, ...] = ()

    @property
    def characters(self) -> int:
        """How many characters of lines there are, their marks and ends included."""
        return sum(len(line.text) + 2 for file in self.files for hunk in file.hunks for line in hunk.lines)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model would be asked."""

    provider: str
    model: str
    usd_per_million_tokens: tuple[float, float] | None = None  # sent and received; None: not known


@dataclass(frozen=True, slots=True)
class Estimate:
    """What reading a change would take: calls and tokens in, instructions included, verification not."""

    calls: int
    input_tokens: int
    notes: tuple[str, ...] = ()  # what would not be shown


@dataclass(frozen=True, slots=True)
class ModelResult:
    """What came of asking.

    `claims` are those that the verifier kept, quoting lines as they were shown. `uses` has one entry per model that was
    called, failed calls included. `failed` says that some of the change was not looked at, `reason` why, for a person;
    claims that did arrive still count. `dropped` counts what was left out on purpose, such as REFUTED.
    `notes` go to the receipt as they are.
    """

    claims: tuple[Claim, ...] = ()
    uses: tuple[ModelUse, ...] = ()
    failed: bool = False
    reason: str = ""
    dropped: Mapping[DropReason, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of a step that begins: its recorded result, and how many earlier beginnings have no known end."""

    result: bytes | None
    in_doubt: int


class CheckpointError(Exception):
    """A checkpoint can't be read or written (`cause` says why), so the run goes no further in these hands."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(type(cause).__name__)
        self.cause = cause


class Checkpoints(Protocol):
    """What a run's steps have come to, kept beyond the life of a worker. Methods raise CheckpointError."""

    async def begin(self, run: Run, step: str, input_sha256: str) -> Begun:
        """Write down that a step begins, unless its result is recorded; only whoever holds the run may."""

    async def finish(self, run: Run, step: str, input_sha256: str, result: bytes) -> None:
        """Record the result of a step."""

    async def give_up(self, run: Run, step: str, input_sha256: str) -> None:
        """Write down that a step came to a known end without a result: it is not in doubt."""


class ModelPass(Protocol):
    """Asks a model about a change. What it raises counts as a failed pass, never as no findings.

    But for CheckpointError, which means that the run is not ours to go on with.
    """

    async def chosen(self, run: Run) -> ModelChoice | None:
        """Answer which model the run's organisation has configured, None for none; calls no model."""

    async def estimate(self, run: Run, view: SourceView) -> Estimate:
        """Answer what `claims` would ask to read the view; calls no model. Called only where `chosen` answered one."""

    async def claims(self, run: Run, view: SourceView) -> ModelResult:
        """Ask about everything in `view`; called only where `chosen` answered a model."""
