"""The words of a review: claims, findings, receipts. Knows nothing of databases, networks or protos."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import UUID

from services.kit.diff.model import Side


class Severity(StrEnum):
    """How much harm the problem does if it is merged; ordered from low to critical."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low up to 3 for critical."""
        return list(Severity).index(self)


class SourceKind(StrEnum):
    """Who claims the problem."""

    MODEL = "model"
    ANALYZER = "analyzer"
    RULE = "rule"
    IMPORT = "import"


class DropReason(StrEnum):
    """Why a claim did not become a finding; counted in the receipt."""

    QUOTE_NOT_FOUND = "quote_not_found"
    AMBIGUOUS = "ambiguous"
    SIDE_MISMATCH = "side_mismatch"
    OUTSIDE_DIFF = "outside_diff"
    DUPLICATE = "duplicate"
    BELOW_SEVERITY = "below_severity"
    REFUTED = "refuted"
    OVER_LIMIT = "over_limit"
    SUPPRESSED = "suppressed"


class Fate(StrEnum):
    """What became of a file or an analyzer."""

    REVIEWED = "reviewed"
    PARTIAL = "partial"
    SKIPPED = "skipped"
    RAN = "ran"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a claim comes from."""

    kind: SourceKind
    name: str
    rule_id: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A problem somebody says is there, with the text it is about; it carries no line number that is believed.

    `near_line` is where an analyzer saw it: it only chooses among places whose text is the quote.
    """

    path: str
    side: Side
    quote: str
    severity: Severity
    category: str
    title: str
    body: str
    source: Source
    confidence: float = 1.0
    replacement: str | None = None
    near_line: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim bound to lines of the diff: `quote` is cut from the diff, never taken from the claim."""

    fingerprint: str
    path: str
    side: Side
    start_line: int
    end_line: int
    quote: str
    severity: Severity
    category: str
    confidence: float
    title: str
    body: str
    source: Source
    replacement: str | None = None  # only where the quote was found whole


@dataclass(frozen=True, slots=True)
class FileReport:
    """The fate of one changed file."""

    path: str
    status: str
    fate: Fate
    reason: str | None
    hunks: int
    hunks_read: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnalyzerReport:
    """The fate of one analyzer."""

    name: str
    version: str
    fate: Fate
    reason: str | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What one model was used for in one run; `input_tokens` include the cached ones, an unknown price is None."""

    provider: str
    model: str
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float | None
    prompt_hash: str
    in_doubt_calls: int = 0  # of `calls`: begun by a worker that stopped, so that nobody knows how they ended


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the analysis child answers: bound findings, and what was read, by whom, and what was dropped.

    `summary_only` holds claims that are true but have no single place; they are told in the summary.
    """

    findings: tuple[Finding, ...]
    files: tuple[FileReport, ...]
    analyzers: tuple[AnalyzerReport, ...]
    dropped: Mapping[DropReason, int] = field(default_factory=dict)
    summary_only: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One changed file as the host or the upload gave it; every byte in it is untrusted.

    `patch` is the hunks alone (from the first @@), None where the host gave none; `reason` then says why.
    `head` and `base` are whole contents, None where they were not fetched or do not exist.
    """

    path: bytes
    status: str  # added | removed | modified | renamed | copied | changed
    previous_path: bytes | None = None
    patch: bytes | None = None
    head: bytes | None = None
    base: bytes | None = None
    old_mode: str | None = None
    new_mode: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """The content of a file at head, under the path that the diff calls it by."""

    path: bytes
    head: bytes | None = None
    base: bytes | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A change as its author sent it; nobody but the analysis child looks into it."""

    diff: bytes
    files: tuple[UploadedFile, ...] = ()
    sarif: bytes | None = None


class RunState(StrEnum):
    """Where a run stands; docs/state-machine.md draws it."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PUBLISHED = "PUBLISHED"
    COMPLETED = "COMPLETED"
    SUPERSEDED = "SUPERSEDED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether the run has come to its end."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


class PutBack(StrEnum):
    """Why a run goes back to the queue; the value is the column that counts it, except for RELEASE."""

    ERROR = "errors"
    CRASH = "crashes"
    WAIT = "waits"
    RELEASE = "release"  # nobody's fault, not counted


LOCAL = "local"  # the host of changes that no code host knows


@dataclass(frozen=True, slots=True)
class PullRequestRef:
    """Names a pull request on a code host; an empty connection is the environment's."""

    host: str
    connection_id: str
    repository_id: str
    repository: str
    number: int


@dataclass(frozen=True, slots=True)
class Change:
    """What an event said of a pull request: a hint, the host's answer decides."""

    ref: PullRequestRef
    action: str  # opened | synchronized | reopened | ready | retargeted | closed
    head_sha: str
    base_ref: str


@dataclass(frozen=True, slots=True)
class Run:
    """A review on its way, as its worker holds it."""

    id: UUID
    organization_id: UUID
    ref: PullRequestRef
    head_sha: str
    base_ref: str
    epoch: int
    errors: int
    waits: int
    must_finish: bool
    traceparent: str
    base_sha: str = ""
    no_model: bool = False
    dry_run: bool = False
    crashes: int = 0
    creator: str = ""  # who uploaded it, as user:<id> or credential:<id>; empty on a code host

    @property
    def is_local(self) -> bool:
        """Whether the change was uploaded, so that no code host knows of it."""
        return self.ref.host == LOCAL

    def at(self, head_sha: str, base_ref: str) -> "Run":
        """The same run for another head."""
        return replace(self, head_sha=head_sha, base_ref=base_ref)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found out, before it is published."""

    base_sha: str
    analysis: Analysis
    notes: tuple[str, ...]
    summary: str
    models: tuple[ModelUse, ...] = ()
    model_failure: str = ""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as the host sees it now."""

    is_open: bool
    is_draft: bool
    head_sha: str
    base_ref: str
    base_sha: str
    url: str


@dataclass(frozen=True, slots=True)
class ChangeSource:
    """The change that is reviewed, as the host gave it, and in words what it did not give.

    Of an `upload` the files are not known until the analysis child has read it.
    """

    pull_request: PullRequest
    files: tuple[SourceFile, ...]
    omissions: tuple[str, ...]
    upload: Upload | None = None
