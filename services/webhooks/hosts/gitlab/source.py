"""Reads a merge request with its files from GitLab, everything at the head that was read first."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.webhooks.hosts.answers import item, number, text, time
from services.webhooks.hosts.base import (
    ChangedFile,
    ListedPullRequest,
    MovedError,
    NotFoundError,
    Omission,
    PullRequest,
    PullRequestRef,
    RepositoryRef,
    SourcePiece,
    TooLargeError,
    UnavailableError,
)
from services.webhooks.hosts.gitlab import shapes
from services.webhooks.hosts.gitlab.client import Client

MAX_FILES = 3_000  # the most an administrator can allow
MAX_FILE_BYTES = 1_000_000
MAX_TOTAL_BYTES = 32_000_000
MAX_CONTENTS = 500  # requests; gitlab.com allows 300 raw files a minute
CONCURRENT = 4

_REGULAR_MODES = frozenset({"100644", "100755", "100664"})
_BINARY = b"Binary files "
_LOOKED_AT = 8_000  # bytes; where git looks for a NUL


@dataclass(frozen=True, slots=True)
class _Planned:
    """A file as far as the list tells, and the paths still to be read at head and base."""

    file: ChangedFile
    head: bytes | None = None
    base: bytes | None = None


class Reader:
    """The reading half of the GitLab adapter. Methods raise HostError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def close(self) -> None:
        """Give up the connections."""
        await self._client.close()

    async def get_pull_request(self, ref: PullRequestRef) -> PullRequest:
        """Answer the merge request as it is now; `base_sha` is the tip of the target branch as GitLab compared it."""
        return shapes.merge_request(ref, await self._client.get(shapes.request_path(ref)))

    async def list_open(self, repository: RepositoryRef) -> AsyncGenerator[ListedPullRequest, None]:
        """Yield the open merge requests, those that changed last first, a hundred a call."""
        query = {"state": "opened", "order_by": "updated_at", "sort": "desc", "scope": "all"}
        async for one in self._client.pages(f"{shapes.project_path(repository)}/merge_requests", query):
            if not item(one, "sha"):
                continue  # its branch has no commit
            ref = repository.pull_request(number(one, "iid"))
            yield ListedPullRequest(shapes.merge_request(ref, one), time(one, "created_at"), time(one, "updated_at"))

    async def read_source(self, ref: PullRequestRef) -> AsyncIterator[SourcePiece]:
        """Yield the merge request (`base_sha`: where the diff starts), its files in GitLab's order, then omissions."""
        found = await self._client.get(shapes.request_path(ref))
        pull = shapes.merge_request(ref, found, from_start=True)
        if not pull.base_sha or shapes.diff_ref(found, "head_sha") != pull.head_sha:
            raise MovedError("GitLab has not compared the branches of this head yet")
        yield pull
        listed = [one async for one in self._client.pages(f"{shapes.request_path(ref)}/diffs")]
        # The list of files names no head: only if the head is the same before and after is it that head's.
        now = shapes.merge_request(ref, await self._client.get(shapes.request_path(ref)), from_start=True)
        if (now.head_sha, now.base_ref, now.base_sha) != (pull.head_sha, pull.base_ref, pull.base_sha):
            raise MovedError("the merge request changed while its files were listed")
        async for file in self._read(pull, [_plan(one) for one in listed[:MAX_FILES]]):
            yield file
        for omission in _omissions(found, len(listed)):
            yield omission

    async def _read(self, pull: PullRequest, planned: Sequence[_Planned]) -> AsyncIterator[ChangedFile]:
        """Yield the files in order while a few contents are read ahead."""
        running: deque[asyncio.Task[ChangedFile]] = deque()
        gate = asyncio.Semaphore(CONCURRENT)
        left = _Left(MAX_TOTAL_BYTES, MAX_CONTENTS)
        try:
            for one in planned:
                running.append(asyncio.create_task(self._fill(pull, left.plan(one), gate)))
                if len(running) > CONCURRENT:
                    yield left.take(await running.popleft())
            while running:
                yield left.take(await running.popleft())
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _fill(self, pull: PullRequest, planned: _Planned, gate: asyncio.Semaphore) -> ChangedFile:
        head, head_reason = await self._content(pull.ref, planned.head, pull.head_sha, gate)
        base, base_reason = await self._content(pull.ref, planned.base, pull.base_sha, gate)
        reasons = dict.fromkeys(reason for reason in (planned.file.reason, head_reason, base_reason) if reason)
        file = replace(planned.file, head=head, base=base, reason="; ".join(reasons) or None)
        if file.patch is None and any(b"\0" in side[:_LOOKED_AT] for side in (head, base) if side):
            return replace(file, head=None, base=None, reason="binary")
        if file.patch is None and not any((head, base)) and not reasons and file.status in ("added", "removed"):
            return file  # an empty file
        if file.patch is None and file.reason is None:
            return replace(file, reason="the host gives no patch")
        return file

    async def _content(
        self, ref: PullRequestRef, path: bytes | None, commit: str, gate: asyncio.Semaphore
    ) -> tuple[bytes | None, str | None]:
        if path is None:
            return None, None
        async with gate:
            try:
                # The target project has the head of a fork too, and still when the fork is gone.
                where = shapes.file_path(ref, path)
                return await self._client.get_bytes(where, MAX_FILE_BYTES, query={"ref": commit}), None
            except NotFoundError:
                return None, "the host does not have the content"
            except TooLargeError:
                return None, f"larger than {MAX_FILE_BYTES} bytes"


class _Left:
    """What may still be read of a change; decided in the order of the files, so that each reading comes to the same."""

    def __init__(self, size: int, requests: int) -> None:
        self._size = size
        self._requests = requests

    def plan(self, planned: _Planned) -> _Planned:
        """Take the requests off; without what there are no more for."""
        needed = sum(path is not None for path in (planned.head, planned.base))
        if needed > self._requests:
            reason = f"contents of the change after {MAX_CONTENTS} requests for them are not read"
            return _Planned(replace(planned.file, reason=planned.file.reason or reason))
        self._requests -= needed
        return planned

    def take(self, file: ChangedFile) -> ChangedFile:
        """Take the bytes off; without what is too much."""
        size = len(file.head or b"") + len(file.base or b"")
        if size > self._size:
            reason = f"contents of the change beyond {MAX_TOTAL_BYTES} bytes are not read"
            return replace(file, head=None, base=None, reason=file.reason or reason)
        self._size -= size
        return file


def _plan(listed: Any) -> _Planned:
    status = _status(listed)
    path, old_path = _bytes(text(listed, "new_path")), _bytes(text(listed, "old_path"))
    diff = _bytes(text(listed, "diff"))
    is_binary = diff.startswith(_BINARY)
    patch = diff if diff and not is_binary else None
    old_mode = None if status == "added" else text(listed, "a_mode")
    new_mode = None if status == "removed" else text(listed, "b_mode")
    hidden = next((name for name in ("too_large", "collapsed") if item(listed, name) is True), None)
    file = ChangedFile(
        path=path,
        status=status,
        previous_path=old_path if old_path != path else None,
        patch=patch,
        old_mode=old_mode,
        new_mode=new_mode,
        reason=_why_not(status, {mode for mode in (old_mode, new_mode) if mode}, patch, hidden, is_binary=is_binary),
    )
    if file.reason and not hidden:
        return _Planned(file)
    # The patch of a removed file is all of its content.
    has_base = status != "added" and not (status == "removed" and patch)
    return _Planned(file, path if status != "removed" else None, old_path if has_base else None)


def _why_not(status: str, modes: set[str], patch: bytes | None, hidden: str | None, *, is_binary: bool) -> str | None:
    """Answer why the contents, or only the patch, are not there."""
    if "160000" in modes:
        return "a submodule, which is not followed"
    if "120000" in modes:
        return "a symbolic link, which is not followed"
    if modes - _REGULAR_MODES:
        return "not a regular file"
    if is_binary:
        return "binary"
    if hidden:
        return f"the host gives no patch, as it is {'too large' if hidden == 'too_large' else 'large and collapsed'}"
    if patch is None and status == "renamed":
        return "renamed or copied without a change"
    if patch is None and len(modes) == 2:
        return "only the mode changed"
    return None


def _status(listed: Any) -> str:
    for name, status in (("new_file", "added"), ("deleted_file", "removed"), ("renamed_file", "renamed")):
        if item(listed, name) is True:
            return status
    return "modified"


def _omissions(found: Any, count: int) -> list[Omission]:
    told = item(found, "changes_count")  # a text, and "1000+" where GitLab stopped counting
    told = told if isinstance(told, str) else ""
    overflows = told.endswith("+") or (told.isascii() and told.isdigit() and int(told[:9]) > count)
    if overflows or count > MAX_FILES:
        return [Omission(f"GitLab lists {min(count, MAX_FILES)} files of {told or count}; the others were not seen.")]
    return []


def _bytes(said: str) -> bytes:
    try:
        return said.encode()
    except UnicodeEncodeError:
        raise UnavailableError("the host's answer holds half a character") from None
