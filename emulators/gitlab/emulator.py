"""`GitLabEmulator`: a stand-in for a GitLab instance over a local git repository."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from emulators.github.failures import Action, Failure, Failures, When
from emulators.github.listener import Listener
from emulators.github.record import EmulatorDefectError, Recorder, RequestRecord, Violation
from emulators.gitlab import webhooks
from emulators.gitlab.host import PROJECT_ID, Host
from emulators.gitlab.model import DraftNote, Effect, Limits, MergeRequest, Note, User
from emulators.gitlab.routes import BY_ID
from emulators.gitlab.server import App


class GitLabEmulator:
    """The emulated instance with one project; usable as an async context manager.

    `token` belongs to the account `username`, which may write. What clients broke is in `violations`, what posted texts
    set off in `effects`, and `check()` raises for both. Leaving the context raises for defects of the emulator itself.
    """

    project_id = PROJECT_ID

    def __init__(
        self,
        repo_path: str | Path,
        path: str,
        token: str,
        *,
        username: str = "lintel-bot",
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not token:
            raise ValueError("an empty token would let anyone in")
        self._host = Host(repo_path, path, limits=limits or Limits(), clock=clock)
        self._failures = Failures()
        self._recorder = Recorder()
        self._listener = Listener()
        self.path = path
        self.bot = self._host.add_user(username, token, "write")
        self.author = self._host.add_user("author", None, "write")
        self.app = App(self._host, self._failures, self._recorder, self._listener.cut, lambda: self.url)

    @property
    def url(self) -> str:
        """The address of the instance, without a slash at the end; RuntimeError before the start."""
        return self._listener.url

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listens (port 0: a free one) inside the running loop and returns the address; OSError when it is taken."""
        return await self._listener.start(self.app, host, port)

    async def stop(self) -> None:
        """Releases what is stalled and stops listening; EmulatorDefectError when the emulator itself went wrong."""
        self._failures.clear()
        await self._listener.stop()
        if self._recorder.defects:
            raise EmulatorDefectError("; ".join(self._recorder.defects))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # Accounts and merge requests

    def add_user(self, username: str, token: str | None = None, *, access: str = "write") -> User:
        """Adds an account; `access` is write, read (403 on writes) or none (404 on the project)."""
        return self._host.add_user(username, token, access)

    def revoke(self, token: str) -> None:
        """Makes a token answer 401 from now on."""
        self._host.remove_token(token)

    async def open_pull(
        self,
        head: str,
        base: str,
        *,
        title: str = "A change",
        source_branch: str = "topic",
        target_branch: str = "main",
        draft: bool = False,
        source: str = "same",
    ) -> MergeRequest:
        """Opens a merge request between two revisions; `source` is same, fork or deleted. GitError for unknown ones."""
        if source not in ("same", "fork", "deleted"):
            raise ValueError(f"source is same, fork or deleted, not {source!r}")
        repository = self._host.repository
        version = await self._host.version(await repository.revision(base), await repository.revision(head))
        number, now = max(self._host.requests, default=0) + 1, self._host.clock()
        request = MergeRequest(
            number=number,
            id=self._host.next_id(),
            title=title,
            author=self.author,
            target_branch=target_branch,
            source_branch=source_branch,
            created_at=now,
            updated_at=now,
            versions=[version],
            draft=draft,
            source=source,
        )
        self._host.requests[number] = request
        return request

    def pull(self, number: int) -> MergeRequest:
        """Returns a merge request; KeyError when there is none."""
        return self._host.requests[number]

    async def set_head(self, number: int, head: str) -> None:
        """Pushes: the merge request gets another head, by fast-forward or by force."""
        request = self.pull(number)
        version = await self._host.version(request.now.start, await self._host.repository.revision(head))
        request.former_heads.append(request.head_sha)
        request.versions.append(version)
        self._host.touch(request)

    def retarget(self, number: int, target_branch: str) -> None:
        """Gives the merge request another target branch."""
        self.pull(number).target_branch = target_branch
        self._host.touch(self.pull(number))

    def close(self, number: int, *, merged: bool = False) -> None:
        """Closes a merge request, by a merge or without."""
        self.pull(number).state = "merged" if merged else "closed"
        self._host.touch(self.pull(number))

    def reopen(self, number: int) -> None:
        """Reopens a closed merge request."""
        self.pull(number).state = "opened"
        self._host.touch(self.pull(number))

    def set_draft(self, number: int, draft: bool) -> None:
        """Moves a merge request into draft or out of it."""
        self.pull(number).draft = draft
        self._host.touch(self.pull(number))

    def prepare_slowly(self, number: int, times: int) -> None:
        """Answers the next `times` reads of a merge request without diff_refs, as right after it was opened."""
        self._host.unprepared[number] = times

    # What was posted

    def comment(self, number: int, body: str, author: User | None = None) -> Note:
        """Says something on the page, as a person would; its effects are not ours to judge."""
        note = self._host.say(number, author or self.author, body)
        self._host.effects = [effect for effect in self._host.effects if effect.note_id != note.id]
        return note

    def reviews(self, number: int) -> list[Note]:
        """Returns the notes of the token's account on the page, oldest first."""
        return [note for note in self._own(number) if note.position is None]

    def review_comments(self, number: int) -> list[Note]:
        """Returns the notes of the token's account on lines, oldest first."""
        return [note for note in self._own(number) if note.position is not None]

    def drafts(self, number: int) -> list[DraftNote]:
        """Returns the drafts of everyone."""
        return [draft for draft in self._host.drafts.values() if draft.number == number]

    def _own(self, number: int) -> list[Note]:
        return [note for note in self._host.notes.values() if note.number == number and note.author == self.bot]

    # Failures and records

    def fail(
        self,
        operation: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | Mapping[str, Any] | None = None,
        times: int = 1,
        skip: int = 0,
        when: When = "before",
        action: Action = "respond",
    ) -> Failure:
        """Orders the next `times` requests of an operation id (`*`: any) to fail, after letting `skip` through.

        `when` says whether the operation takes effect first. `close` cuts the connection without an answer, `stall`
        holds the request until `release()` of the returned order. ValueError when the order contradicts itself.
        """
        if operation not in {*BY_ID, "*"}:
            raise ValueError(f"unknown operation {operation!r}; one of {', '.join(sorted(BY_ID))}")
        if body is None and status is not None and status not in (204, 304):
            body = {"message": f"{status} {HTTPStatus(status).phrase}"}
        return self._failures.add(
            operation, status=status, headers=headers, body=body, times=times, skip=skip, when=when, action=action
        )

    def stop_publishing_after(self, count: int) -> None:
        """Makes the next bulk publish end with 500 after that many notes."""
        self._host.publish_only = count

    def heal(self) -> None:
        """Drops all orders to fail and releases what they hold."""
        self._failures.clear()

    @property
    def requests(self) -> list[RequestRecord]:
        """All requests so far, in order of arrival, without tokens."""
        return self._recorder.requests

    @property
    def violations(self) -> list[Violation]:
        """What clients broke so far."""
        return self._recorder.violations

    @property
    def effects(self) -> list[Effect]:
        """What the texts that were posted set off: commands, mentions, references, links, HTML."""
        return self._host.effects

    def calls(self, operation: str | None = None) -> list[RequestRecord]:
        """Returns the requests of one operation id, or all."""
        return self._recorder.calls(operation)

    async def wait_for(self, operation: str, count: int = 1, timeout: float = 30.0) -> list[RequestRecord]:
        """Waits until that many requests of an operation are finished; TimeoutError otherwise."""
        async with asyncio.timeout(timeout):
            return await self._recorder.wait_for(operation, count)

    def check(self) -> None:
        """Raises AssertionError when a client broke a rule, a text set something off, or the emulator was wrong."""
        found = [f"{v.operation}: {v.message}" for v in self.violations] + self._recorder.defects
        found += [f"note {effect.note_id} set off a {effect.kind}: {effect.text}" for effect in self.effects]
        if found:
            raise AssertionError("; ".join(found))

    # Webhooks

    def webhook(
        self,
        action: str,
        number: int,
        *,
        secret: str | None,
        delivery_id: str | None = None,
        changes: Mapping[str, Any] | None = None,
        at: float | None = None,
    ) -> webhooks.Delivery:
        """Returns a merge request delivery of the present state, to be sent with `deliver(url, …)`."""
        if action not in webhooks.ACTIONS:
            raise ValueError(f"action is one of {', '.join(webhooks.ACTIONS)}, not {action!r}")
        request = self.pull(number)
        value = webhooks.payload(action, request, self.url, self.path, request.author, changes or {})
        body = webhooks.encoded(value)
        return webhooks.make_delivery("Merge Request Hook", body, secret=secret, delivery_id=delivery_id, at=at)
