"""What the emulated host remembers: users, pull requests, reviews and comments; and the limits it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulators.github.diff import FileDiff


@dataclass(frozen=True)
class Limits:
    """Numbers the host keeps to; sources: GitHub's documentation of REST, repository and rate limits.

    Sizes in bytes, lengths in characters. Tests may lower them to reach a limit with little data.
    """

    page: int = 100
    files: int = 3_000
    compare_files: int = 300
    commits: int = 250
    diff_files: int = 300
    diff_lines: int = 20_000
    diff_bytes: int = 1_000_000
    file_lines: int = 20_000
    file_bytes: int = 500_000
    content_bytes: int = 1_048_576
    raw_bytes: int = 104_857_600
    directory_entries: int = 1_000
    tree_entries: int = 100_000
    tree_bytes: int = 7_000_000
    body_characters: int = 65_536
    requests_per_hour: int = 5_000
    concurrent: int = 100
    points_per_minute: int = 900
    content_per_minute: int = 80
    content_per_hour: int = 500
    secondary_status: int = 403
    secondary_retry_after: int = 60


@dataclass(frozen=True)
class User:
    """An account. `access` is what its token may do with the repository: write, read, or none (404)."""

    id: int
    login: str
    type: str = "User"
    access: str = "write"


@dataclass(frozen=True)
class PullState:
    """What git says about one state of a pull request: three-dot files, and its commits, oldest first."""

    merge_base: str
    head: str
    files: tuple[FileDiff, ...]
    commits: tuple[str, ...]

    def file(self, path: str) -> FileDiff | None:
        """Returns the changed file of that (new) name."""
        return next((file for file in self.files if file.name == path), None)


@dataclass
class PullRequest:
    """A pull request; `head_repository` is same, fork or deleted, `state_now` what git says of its present head."""

    number: int
    title: str
    body: str | None
    author: User
    base_ref: str
    base_sha: str
    head_ref: str
    head_sha: str
    created_at: float
    updated_at: float
    state_now: PullState
    draft: bool = False
    state: str = "open"
    merged: bool = False
    closed_at: float | None = None
    head_repository: str = "same"
    former_heads: list[str] = field(default_factory=list)


@dataclass
class Review:
    """A review; `state` is PENDING, COMMENTED, APPROVED or CHANGES_REQUESTED."""

    id: int
    number: int
    user: User
    body: str
    state: str
    commit_id: str
    submitted_at: float | None = None

    def visible_to(self, user: User) -> bool:
        """Whether the user may know of it: a pending review is its author's alone."""
        return self.state != "PENDING" or self.user.id == user.id


@dataclass(frozen=True)
class Anchor:
    """Where an inline comment stands, in the diff of the commit it was written for."""

    path: str
    side: str
    line: int
    start_side: str | None = None
    start_line: int | None = None
    position: int = 1
    hunk_text: str = ""


@dataclass
class ReviewComment:
    """An inline comment; `anchor` None means the whole file, and `in_reply_to` names a top-level comment."""

    id: int
    number: int
    review_id: int
    user: User
    body: str
    path: str
    commit_id: str
    merge_base: str
    anchor: Anchor | None
    created_at: float
    updated_at: float
    in_reply_to: int | None = None


@dataclass
class IssueComment:
    """A comment on the page of the pull request."""

    id: int
    number: int
    user: User
    body: str
    created_at: float
    updated_at: float


@dataclass
class State:
    """All that was posted, by id."""

    pulls: dict[int, PullRequest] = field(default_factory=dict)
    reviews: dict[int, Review] = field(default_factory=dict)
    comments: dict[int, ReviewComment] = field(default_factory=dict)
    issue_comments: dict[int, IssueComment] = field(default_factory=dict)
    last_id: int = 1_000

    def new_id(self) -> int:
        """Returns the next id; ids are one row for all kinds, as nothing may be guessed from them."""
        self.last_id += 1
        return self.last_id

    def pending_of(self, number: int, user: User) -> Review | None:
        """Returns the user's pending review of a pull request."""
        mine = (r for r in self.reviews.values() if r.number == number and r.user.id == user.id)
        return next((review for review in mine if review.state == "PENDING"), None)

    def comments_of(self, review_id: int) -> list[ReviewComment]:
        """Returns the inline comments of a review, oldest first."""
        return [comment for comment in self.comments.values() if comment.review_id == review_id]
