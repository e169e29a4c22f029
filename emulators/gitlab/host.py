"""The emulated instance itself: one project, its accounts, and what is said on its merge requests."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulators.github.diff import diff_files
from emulators.github.git import GitError, GitRepository
from emulators.gitlab.effects import effects, without_commands
from emulators.gitlab.model import Anchor, DraftNote, Effect, Limits, MergeRequest, Note, User, Version

PROJECT_ID = 4_711


class Host:
    """State and rules that reading and writing share."""

    def __init__(self, repo_path: str | Path, path: str, *, limits: Limits, clock: Callable[[], float]) -> None:
        self.repository = GitRepository(repo_path)
        self.path = path
        self.limits = limits
        self.clock = clock
        self.requests: dict[int, MergeRequest] = {}
        self.notes: dict[int, Note] = {}
        self.drafts: dict[int, DraftNote] = {}
        self.effects: list[Effect] = []
        self.unprepared: dict[int, int] = {}
        self.publish_only: int | None = None
        self._users: dict[str, User] = {}
        self._tokens: dict[str, User] = {}
        self._last_id = 100

    def next_id(self) -> int:
        """Returns an id that nothing has yet."""
        self._last_id += 1
        return self._last_id

    def add_user(self, username: str, token: str | None, access: str) -> User:
        """Adds an account, or gives an existing one a further token; ValueError on an unknown access."""
        if access not in ("write", "read", "none"):
            raise ValueError(f"access is write, read or none, not {access!r}")
        user = self._users.get(username) or User(len(self._users) + 1, username, access)
        self._users[username] = user
        if token is not None:
            self._tokens[token] = user
        return user

    def remove_token(self, token: str) -> None:
        """Revokes a token."""
        self._tokens.pop(token, None)

    def user_of(self, token: str) -> User | None:
        """Returns the account a token belongs to."""
        return self._tokens.get(token)

    def tokens(self) -> tuple[str, ...]:
        """Returns the valid tokens, for redaction."""
        return tuple(self._tokens)

    async def version(self, base: str, head: str) -> Version:
        """Returns the version of a diff from `base`, the tip of the target; GitError for unrelated histories."""
        start = await self.repository.merge_base(base, head)
        if start is None:
            raise GitError(f"{base[:12]} and {head[:12]} have no common ancestor")
        files = tuple(await diff_files(self.repository, start, head))
        return Version(self.next_id(), start, base, head, files, self.clock())

    def touch(self, request: MergeRequest) -> None:
        """Notes that a merge request changed."""
        request.updated_at = self.clock()

    def say(
        self, number: int, author: User, body: str, position: dict[str, Any] | None = None, anchor: Anchor | None = None
    ) -> Note:
        """Makes a note visible, with all that its text sets off."""
        now = self.clock()
        note = Note(self.next_id(), number, author, without_commands(body), position, anchor, now, now)
        self.notes[note.id] = note
        self._set_off(note.id, body)
        self.touch(self.requests[number])
        return note

    def edit(self, note: Note, body: str) -> None:
        """Replaces the text of a note, with all that it sets off."""
        note.body, note.updated_at = without_commands(body), self.clock()
        self._set_off(note.id, body)

    def _set_off(self, note_id: int, body: str) -> None:
        self.effects += [Effect(note_id, kind, text) for kind, text in effects(body)]

    def publish(self, number: int, author: User) -> bool:
        """Publishes all drafts of an account in their order; False when it was made to stop half-way."""
        drafts = [draft for draft in self.drafts.values() if draft.number == number and draft.author == author]
        limit, self.publish_only = self.publish_only, None
        for draft in drafts[:limit]:
            self.say(number, author, draft.body, draft.position, draft.anchor)
            del self.drafts[draft.id]
        return limit is None


def written_out(position: dict[str, Any]) -> dict[str, Any]:
    """Returns a position with the fields the host adds to what it was given."""
    whole = {"old_line": None, "new_line": None, "line_range": None, **copy.deepcopy(position)}
    for end in (whole["line_range"] or {}).values():
        end.setdefault("old_line", None)
        end.setdefault("new_line", None)
    return whole
