"""The port to a code host: what we know of pull requests, what we ask of a host, and how it can fail."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PullRequestRef:
    """Names a pull request; `repository_id` is the host's stable identifier, `repository` is owner/name."""

    host: str
    connection_id: str
    repository_id: str
    repository: str
    number: int


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as the host sees it; `base_sha` is where the diff starts, if that is known."""

    ref: PullRequestRef
    open: bool
    draft: bool
    head_sha: str
    base_ref: str
    base_sha: str
    url: str
    title: str


class Action(StrEnum):
    """What happened to a pull request, in our words."""

    OPENED = "opened"
    SYNCHRONIZED = "synchronized"
    REOPENED = "reopened"
    READY = "ready"
    RETARGETED = "retargeted"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PullRequestChanged:
    """An event of ours; `head_sha` and `base_ref` are what it says, which may be outdated."""

    ref: PullRequestRef
    action: Action
    head_sha: str
    base_ref: str
    draft: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """A well-formed event that asks nothing of us."""

    reason: str


@dataclass(frozen=True, slots=True)
class ParseError:
    """A body that can't be understood, with the reason for people; a value, as the delivery is kept and replayed."""

    reason: str


Parsed = PullRequestChanged | Ignored | ParseError


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A changed file; every byte is untrusted. What is None was not read, and then `reason` says why."""

    path: bytes
    status: str
    previous_path: bytes | None = None
    patch: bytes | None = None
    head: bytes | None = None
    base: bytes | None = None
    old_mode: str | None = None
    new_mode: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Omission:
    """Something that the host would not give, in words."""

    text: str


SourcePiece = PullRequest | ChangedFile | Omission


class MarkKind(StrEnum):
    """What a hidden mark says about the text that ends with it."""

    SUMMARY = "summary"
    FINDINGS = "findings"
    PROBE = "probe"  # a draft that only asks whether the host takes these lines; never submitted
    FINDING = "finding"
    REMOVED = "removed"
    PARTS = "parts"  # which comments belong to a draft, where the host has no review that holds them together


@dataclass(frozen=True, slots=True)
class Mark:
    """A keyed mark: what the text is, and for whom (letters, digits, dots and dashes only)."""

    kind: MarkKind
    key: str


@dataclass(frozen=True, slots=True)
class InlineComment:
    """A comment on lines of one side of a file of the diff."""

    path: str
    left: bool
    start_line: int
    end_line: int
    body: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class OwnReview:
    """A review of our own account. `mark` is a mark that verified; `marked` tells that one was tried at all.

    A `partial` draft lacks some comments, as the host takes them one by one; the next `create_draft` takes it up.
    """

    id: str
    draft: bool
    url: str
    mark: Mark | None
    marked: bool
    partial: bool = False


class Credential(Protocol):
    """Where the token comes from."""

    async def token(self, *, fresh: bool = False) -> str:
        """Answer the token; `fresh` after the host refused the last one."""
        ...


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token that does not change by itself."""

    value: str = field(repr=False)

    async def token(self, *, fresh: bool = False) -> str:
        """Answer the token; there is no fresher one."""
        return self.value


class HostError(Exception):
    """A code host did not do what was asked; the text is for people and holds no secret."""


class UnauthorizedError(HostError):
    """The host does not accept the credential."""


class ForbiddenError(HostError):
    """The credential may not do this, or nobody may (archived, locked)."""


class NotFoundError(HostError):
    """It is not there, or the credential may not see it."""


class Problem(StrEnum):
    """Why the host found a well-formed request invalid."""

    LINES = "lines"  # a line, range or path is not part of the diff
    COMMIT_GONE = "commit_gone"
    DRAFT_EXISTS = "draft_exists"
    TOO_LONG = "too_long"
    OTHER = "other"


class InvalidError(HostError):
    """The host refused the content; nothing took effect.

    `culprits` are the indexes of the comments that it would not take, where that is known.
    """

    def __init__(self, problem: Problem, details: Sequence[str], culprits: Sequence[int] = ()) -> None:
        super().__init__("; ".join(details) or "the host gave no reason")
        self.problem = problem
        self.details = tuple(details)
        self.culprits = tuple(culprits)


class RateLimitedError(HostError):
    """A limit of the host; nothing took effect. `until` is when to ask again."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"the host asks to wait until {until.isoformat(timespec='seconds')}")
        self.until = until


class UnavailableError(HostError):
    """The host did not answer, or not sensibly; nothing took effect."""


class TooLargeError(UnavailableError):
    """The answer to a read has more bytes than were asked for."""


class InDoubtError(HostError):
    """A write that may have taken effect: no answer, a cut connection, or an answer that says nothing."""


class MovedError(HostError):
    """The pull request changed while it was being read; read it again."""


class WebhookFormat(Protocol):
    """How a host signs and writes its webhooks; knows no credential.

    `kept_headers` are those a later look at a delivery needs: never a signature, a token or an authorization.
    """

    kept_headers: frozenset[str]

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        """Whether one of the secrets signed exactly these bytes; header names are in lower case. Never raises."""
        ...

    def event(self, headers: Mapping[str, str]) -> str:
        """Answer the event kind, empty when there is none worth the name."""
        ...

    def delivery_id(self, headers: Mapping[str, str]) -> str:
        """Answer the host's id of the delivery, empty when there is none worth the name."""
        ...

    def is_ours(self, event: str) -> bool:
        """Whether deliveries of this event kind are stored."""
        ...

    def accepts(self, headers: Mapping[str, str]) -> bool:
        """Whether the content type is one that `parse` reads."""
        ...

    def parse(self, headers: Mapping[str, str], body: bytes, *, connection_id: str = "") -> Parsed:
        """Read a stored delivery in our words. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class RepositoryRef:
    """Names a repository, as PullRequestRef does."""

    host: str
    connection_id: str
    repository_id: str
    repository: str

    def pull_request(self, number: int) -> PullRequestRef:
        """Answer the name of one of its pull requests."""
        return PullRequestRef(self.host, self.connection_id, self.repository_id, self.repository, number)


@dataclass(frozen=True, slots=True)
class ListedPullRequest:
    """A pull request in a list of the host; `update_time` is when anything about it last changed there."""

    pull_request: PullRequest
    create_time: datetime
    update_time: datetime


class CodeHost(Protocol):
    """What every code host can do, with one credential. Methods raise HostError.

    Until a rate limit is over, a call of any method raises RateLimitedError without asking the host.
    """

    async def get_pull_request(self, ref: PullRequestRef) -> PullRequest:
        """Answer the pull request as it is now; `base_sha` is the tip of the base branch as the host has it."""
        ...

    def list_open(self, repository: RepositoryRef) -> AsyncGenerator[ListedPullRequest, None]:
        """Yield the open pull requests, those that changed last first; asks for more only as far as it is read."""
        ...

    def read_source(self, ref: PullRequestRef) -> AsyncIterator[SourcePiece]:
        """Yield the pull request, then its files, then what was left out; all of one head, else MovedError."""
        ...

    async def close(self) -> None:
        """Give up the connections."""
        ...


class DraftReviews(Protocol):
    """Optional: reviews that can be written unseen and submitted by id. Every text goes out neutralised."""

    async def list_own_reviews(self, ref: PullRequestRef) -> list[OwnReview]:
        """Answer the reviews of our own account, drafts too, oldest first."""
        ...

    async def get_own_review(self, ref: PullRequestRef, review_id: str) -> OwnReview:
        """Answer one of them; NotFoundError when it is gone or another account's."""
        ...

    async def list_posted_marks(self, ref: PullRequestRef) -> list[Mark]:
        """Answer the valid marks of our own visible inline comments."""
        ...

    async def create_draft(
        self, ref: PullRequestRef, commit: str | None, body: str, mark: Mark, comments: Sequence[InlineComment]
    ) -> OwnReview:
        """Write a review that only we see, all or nothing; InvalidError says what the host would not take."""
        ...

    async def submit_draft(self, ref: PullRequestRef, review_id: str) -> OwnReview:
        """Make a draft visible."""
        ...

    async def delete_draft(self, ref: PullRequestRef, review_id: str) -> None:
        """Drop a draft; one that is gone already is no error."""
        ...

    async def edit_review(self, ref: PullRequestRef, review_id: str, body: str, mark: Mark) -> OwnReview:
        """Replace the body of a visible review."""
        ...

    async def remove_review(self, ref: PullRequestRef, review_id: str, kept_url: str) -> None:
        """Take one of our own duplicates away as far as the host lets us, pointing to the one that stays."""
        ...


class ReviewHost(CodeHost, DraftReviews, Protocol):
    """A code host that can take a review."""
