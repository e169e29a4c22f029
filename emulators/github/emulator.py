"""`GitHubEmulator`: a stand-in for api.github.com over a local git repository."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from emulators.github.failures import Action, Failure, Failures, When
from emulators.github.host import Host
from emulators.github.listener import Listener
from emulators.github.meter import Meter
from emulators.github.model import IssueComment, Limits, PullRequest, Review, ReviewComment, User
from emulators.github.record import EmulatorDefectError, Recorder, RequestRecord, Violation
from emulators.github.server import App
from emulators.github.webhooks import ACTIONS, Delivery, encoded_payload, make_delivery, pull_request_payload


class GitHubEmulator:
    """The emulated host; usable as an async context manager.

    `token` belongs to the account `login`, which may write. Leaving the context raises EmulatorDefectError if an answer
    of the emulator broke GitHub's description; what clients broke is in `violations`, and `check()` raises for it.
    """

    def __init__(
        self,
        repo_path: str | Path,
        owner: str,
        name: str,
        token: str,
        *,
        login: str = "lintel-bot",
        user_type: str = "User",
        author: str = "octo-author",
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
        default_branch: str = "main",
        private: bool = False,
    ) -> None:
        if not token:
            raise ValueError("an empty token would let anyone in")
        limits = limits or Limits()
        self._host = Host(
            repo_path, owner, name, limits=limits, clock=clock, default_branch=default_branch, private=private
        )
        self._clock = clock
        self._failures = Failures()
        self._recorder = Recorder()
        self.bot = self._host.add_user(login, token, user_type, "write")
        self.author = self._host.add_user(author, None, "User", "write")
        self._meter = Meter(limits, clock)
        self._listener = Listener()
        self.app = App(self._host, self._meter, self._failures, self._recorder, self._listener.cut)

    @property
    def url(self) -> str:
        """The address of the API, without a slash at the end; RuntimeError before the start."""
        return self._listener.url

    @property
    def full_name(self) -> str:
        """The repository's `owner/name`."""
        return self._host.render.full_name

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listens (port 0: a free one) inside the running loop and returns the address; OSError when it is taken."""
        self._host.api = await self._listener.start(self.app, host, port)
        return self._host.api

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

    # Accounts

    def add_user(self, login: str, token: str | None = None, *, type: str = "User", access: str = "write") -> User:
        """Adds an account; `access` is write, read (403 on writes) or none (404 on the repository)."""
        return self._host.add_user(login, token, type, access)

    def revoke(self, token: str) -> None:
        """Makes a token answer 401 from now on."""
        self._host.remove_token(token)

    def archive(self, archived: bool = True) -> None:
        """Makes the repository read-only: writes answer 403."""
        self._host.archived = archived

    def hide_sha(self, path: str) -> None:
        """Lists that changed file without a sha, as the description allows."""
        self._host.null_sha_paths.add(path)

    # Pull requests

    async def open_pull(
        self,
        head: str,
        base: str | None,
        *,
        number: int | None = None,
        title: str = "A change",
        body: str | None = None,
        author: User | None = None,
        head_ref: str = "topic",
        base_ref: str | None = None,
        draft: bool = False,
        head_repository: str = "same",
    ) -> PullRequest:
        """Opens a pull request between two revisions of the repository; base None is the empty tree.

        `head_repository` is same, fork or deleted (a fork that is gone: `head.repo` is null). GitError when a revision
        is unknown or the histories are unrelated, ValueError when the number is taken.
        """
        if head_repository not in ("same", "fork", "deleted"):
            raise ValueError(f"head_repository is same, fork or deleted, not {head_repository!r}")
        host = self._host
        base_sha, head_sha = await host.base_commit(base), await host.repository.revision(head)
        now = self._clock()
        return host.register(
            PullRequest(
                number=number if number is not None else max(host.state.pulls, default=0) + 1,
                title=title,
                body=body,
                author=author or self.author,
                base_ref=base_ref or host.default_branch,
                base_sha=base_sha,
                head_ref=head_ref,
                head_sha=head_sha,
                created_at=now,
                updated_at=now,
                state_now=await host.pull_state(base_sha, head_sha),
                draft=draft,
                head_repository=head_repository,
            )
        )

    def pull(self, number: int) -> PullRequest:
        """Returns a pull request; KeyError when there is none."""
        return self._host.state.pulls[number]

    async def set_head(self, number: int, head: str) -> None:
        """Pushes: the pull request gets another head, by fast-forward or by force."""
        pull = self.pull(number)
        await self._host.move(pull, pull.base_sha, await self._host.repository.revision(head))

    async def set_base(self, number: int, base: str | None, base_ref: str | None = None) -> None:
        """Changes the base commit and, when given, the base branch."""
        pull = self.pull(number)
        await self._host.move(pull, await self._host.base_commit(base), pull.head_sha)
        pull.base_ref = base_ref or pull.base_ref

    def close(self, number: int, *, merged: bool = False) -> None:
        """Closes a pull request, by a merge or without."""
        pull = self.pull(number)
        pull.state, pull.merged, pull.closed_at = "closed", merged, self._clock()
        self._host.touch(pull)

    def reopen(self, number: int) -> None:
        """Reopens a closed pull request; ValueError for a merged one."""
        pull = self.pull(number)
        if pull.merged:
            raise ValueError("a merged pull request can't be reopened")
        pull.state, pull.closed_at = "open", None
        self._host.touch(pull)

    def set_draft(self, number: int, draft: bool) -> None:
        """Moves a pull request into draft or out of it."""
        self.pull(number).draft = draft
        self._host.touch(self.pull(number))

    def edit(self, number: int, *, title: str | None = None, body: str | None = None) -> None:
        """Edits the title or the text."""
        pull = self.pull(number)
        pull.title, pull.body = title if title is not None else pull.title, body if body is not None else pull.body
        self._host.touch(pull)

    # What was posted

    def reviews(self, number: int, *, pending: bool = False) -> list[Review]:
        """Returns the visible reviews of a pull request, oldest first; with `pending` the pending ones instead."""
        every = self._host.state.reviews.values()
        return [review for review in every if review.number == number and (review.state == "PENDING") == pending]

    def review_comments(self, number: int, *, review_id: int | None = None) -> list[ReviewComment]:
        """Returns all inline comments of a pull request, pending ones too, or those of one review."""
        every = self._host.state.comments.values()
        return [c for c in every if c.number == number and review_id in (None, c.review_id)]

    def issue_comments(self, number: int) -> list[IssueComment]:
        """Returns the comments on the page of a pull request, oldest first."""
        return [comment for comment in self._host.state.issue_comments.values() if comment.number == number]

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
        known = {found.id for found in self.app.operations} | {"*"}
        if operation not in known:
            raise ValueError(f"unknown operation {operation!r}; one of {', '.join(sorted(known))}")
        return self._failures.add(
            operation, status=status, headers=headers, body=body, times=times, skip=skip, when=when, action=action
        )

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
    def defects(self) -> list[str]:
        """What the emulator itself got wrong so far."""
        return self._recorder.defects

    def calls(self, operation: str | None = None) -> list[RequestRecord]:
        """Returns the requests of one operation id, or all."""
        return self._recorder.calls(operation)

    async def wait_for(self, operation: str, count: int = 1, timeout: float = 30.0) -> list[RequestRecord]:
        """Waits until that many requests of an operation are finished; TimeoutError otherwise."""
        async with asyncio.timeout(timeout):
            return await self._recorder.wait_for(operation, count)

    def check(self) -> None:
        """Raises AssertionError when a client broke the description, or the emulator did."""
        found = [f"{v.operation}: {v.message}" for v in self.violations] + self.defects
        if found:
            raise AssertionError("; ".join(found))

    # Webhooks

    def webhook_payload(self, action: str, number: int, *, sender: User | None = None, **extra: Any) -> dict[str, Any]:
        """Returns GitHub's payload of a `pull_request` event for the present state; `extra` are top-level keys.

        `synchronize` fills `before` and `after`, `edited` an empty `changes`, unless given.
        """
        if action not in ACTIONS:
            raise ValueError(f"action is one of {', '.join(ACTIONS)}, not {action!r}")
        pull, host = self.pull(number), self._host
        if action == "synchronize":
            before = pull.former_heads[-1] if pull.former_heads else pull.base_sha
            extra = {"before": before, "after": pull.head_sha, **extra}
        if action == "edited":
            extra = {"changes": {}, **extra}
        opened = host.open_pulls()
        shape = host.render.pull(pull, pull.author, opened, host.counts(number))
        repository = host.render.repository(pull.author, opened)
        return pull_request_payload(action, shape, repository, host.render.user(sender or pull.author), extra)

    def webhook(
        self, action: str, number: int, *, secret: str | None, delivery_id: str | None = None, **extra: Any
    ) -> Delivery:
        """Returns a signed `pull_request` delivery of the present state, to be sent with `deliver(url, …)`."""
        body = encoded_payload(self.webhook_payload(action, number, **extra))
        return make_delivery("pull_request", body, secret=secret, delivery_id=delivery_id)
