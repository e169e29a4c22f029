"""What the emulated instance remembers: accounts, merge requests with their versions, notes and drafts of notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emulators.github.diff import FileDiff


@dataclass(frozen=True)
class Limits:
    """Numbers the instance keeps to, as gitlab.com has them; source: GitLab's pages on limits."""

    page: int = 100
    patch_bytes: int = 200_000  # of one file; above it the diff is empty and `too_large`
    collapse_bytes: int = 200_000  # above it the diff is empty and `collapsed`
    files: int = 1_000
    note_characters: int = 1_000_000
    requests_per_minute: int = 2_000
    notes_per_minute: int = 60


@dataclass(frozen=True)
class User:
    """An account. `access` is what its token may do with the project: write, read, or none (404)."""

    id: int
    username: str
    access: str = "write"


@dataclass(frozen=True)
class Version:
    """One state of a merge request: where its diff starts, the tip of the target then, its head, and the files."""

    id: int
    base: str
    start: str
    head: str
    files: tuple[FileDiff, ...]
    created_at: float


@dataclass
class MergeRequest:
    """A merge request; `source` is same, fork or deleted (a fork that is gone)."""

    number: int
    id: int
    title: str
    author: User
    target_branch: str
    source_branch: str
    created_at: float
    updated_at: float
    versions: list[Version]
    state: str = "opened"
    draft: bool = False
    source: str = "same"
    former_heads: list[str] = field(default_factory=list)

    @property
    def now(self) -> Version:
        """The newest version."""
        return self.versions[-1]

    @property
    def head_sha(self) -> str:
        """The present head."""
        return self.now.head


@dataclass(frozen=True)
class Anchor:
    """The line a note stands on: LEFT is the old side, a line that is on both counts as RIGHT."""

    side: str
    line: int
    start_line: int | None = None


@dataclass
class DraftNote:
    """A note that only its author sees."""

    id: int
    number: int
    author: User
    body: str
    position: dict[str, Any] | None
    anchor: Anchor | None


@dataclass
class Note:
    """A visible note; one with a position stands on a line of the diff."""

    id: int
    number: int
    author: User
    body: str
    position: dict[str, Any] | None
    anchor: Anchor | None
    created_at: float
    updated_at: float
    system: bool = False

    @property
    def path(self) -> str:
        """The file it stands on, by its new name; empty for one on the page."""
        return str(self.position["new_path"]) if self.position else ""


@dataclass(frozen=True)
class Effect:
    """What the text of a note set off: kind is command, mention or reference."""

    note_id: int
    kind: str
    text: str
