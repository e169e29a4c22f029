"""Reads a pull request with its files from GitHub, everything at the head that was read first."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
    UnavailableError,
)
from services.webhooks.hosts.github import shapes, trees
from services.webhooks.hosts.github.client import Client
from services.webhooks.hosts.github.trees import Entry, Listing

MAX_FILES = 3_000  # GitHub lists no more, and does not say so
MAX_FILE_BYTES = 1_000_000
MAX_TOTAL_BYTES = 32_000_000
# Each content is a request, and GitHub allows 900 points a minute and 5,000 requests an hour to all we do with a token:
# a read that runs into that is begun anew, and would never come to its end.
MAX_BLOBS = 500
CONCURRENT = 4

_STATUSES = frozenset({"added", "removed", "modified", "renamed", "copied", "changed"})


@dataclass(frozen=True, slots=True)
class _Planned:
    """A file as far as the lists tell, and the blobs still to be read for it."""

    file: ChangedFile
    head: Entry | None = None
    base: Entry | None = None


class Reader:
    """The reading half of the GitHub adapter. Methods raise HostError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def close(self) -> None:
        """Give up the connections."""
        await self._client.close()

    async def get_pull_request(self, ref: PullRequestRef) -> PullRequest:
        """Answer the pull request as it is now; `base_sha` is the tip of the base branch as GitHub has it."""
        return shapes.pull_request(ref, await self._client.get(shapes.pull_path(ref)))

    async def list_open(self, repository: RepositoryRef) -> AsyncGenerator[ListedPullRequest, None]:
        """Yield the open pull requests, those that changed last first, a hundred a call."""
        path = f"{shapes.repository_path(repository)}/pulls"
        query = {"state": "open", "sort": "updated", "direction": "desc"}
        async for item in self._client.pages(path, query):
            ref = repository.pull_request(shapes.number(item, "number"))
            yield ListedPullRequest(
                shapes.pull_request(ref, item), shapes.time(item, "created_at"), shapes.time(item, "updated_at")
            )

    async def read_source(self, ref: PullRequestRef) -> AsyncIterator[SourcePiece]:
        """Yield the pull request (`base_sha`: where the diff starts), its files in GitHub's order, then omissions."""
        pull = await self.get_pull_request(ref)
        base_sha = await self._merge_base(pull)
        yield replace(pull, base_sha=base_sha or pull.base_sha)
        listed = [item async for item in self._client.pages(f"{shapes.pull_path(ref)}/files")]
        # The list of files names no commit: only if the head is the same before and after is it that head's.
        now = await self.get_pull_request(ref)
        if (now.head_sha, now.base_ref) != (pull.head_sha, pull.base_ref):
            raise MovedError("the pull request changed while its files were listed")
        repository = shapes.repository_path(ref)
        heads = await trees.find(self._client, repository, pull.head_sha, _head_paths(listed))
        bases = await trees.find(self._client, repository, base_sha, _base_paths(listed))
        async for file in self._read(repository, _plan(listed, heads, bases)):
            yield file
        for omission in _omissions(len(listed), base_sha, heads, bases):
            yield omission

    async def _merge_base(self, pull: PullRequest) -> str:
        """Answer the commit the diff starts from, empty if GitHub can't tell."""
        path = f"{shapes.repository_path(pull.ref)}/compare/{pull.base_sha}...{pull.head_sha}"
        try:
            # All files are on the first page, so any later page is small; the merge base is on each.
            compared = await self._client.get(path, query={"per_page": "1", "page": "2"})
        except NotFoundError:
            return ""
        return shapes.sha(compared, "merge_base_commit", "sha")

    async def _read(self, repository: str, planned: Sequence[_Planned]) -> AsyncIterator[ChangedFile]:
        """Yield the files in order while a few contents are read ahead."""
        running: deque[asyncio.Task[ChangedFile]] = deque()
        gate = asyncio.Semaphore(CONCURRENT)
        try:
            for one in planned:
                running.append(asyncio.create_task(self._fill(repository, one, gate)))
                if len(running) > CONCURRENT:
                    yield await running.popleft()
            while running:
                yield await running.popleft()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _fill(self, repository: str, planned: _Planned, gate: asyncio.Semaphore) -> ChangedFile:
        head = await self._blob(repository, planned.head, gate)
        base = await self._blob(repository, planned.base, gate)
        lost = (planned.head is not None and head is None) or (planned.base is not None and base is None)
        reason = _joined(planned.file.reason, "the host does not have the content" if lost else None)
        return replace(planned.file, head=head, base=base, reason=reason)

    async def _blob(self, repository: str, entry: Entry | None, gate: asyncio.Semaphore) -> bytes | None:
        if entry is None:
            return None
        if entry.size == 0:
            return b""
        async with gate:
            try:
                return await self._client.get_bytes(f"{repository}/git/blobs/{entry.sha}", entry.size)
            except NotFoundError:
                return None


def _head_paths(listed: Sequence[Any]) -> list[str]:
    return [shapes.text(item, "filename") for item in listed if shapes.item(item, "status") != "removed"]


def _base_paths(listed: Sequence[Any]) -> list[str]:
    return [_old_name(item) for item in listed if shapes.item(item, "status") != "added"]


def _old_name(item: Any) -> str:
    previous = shapes.item(item, "previous_filename")
    return previous if isinstance(previous, str) else shapes.text(item, "filename")


def _plan(listed: Sequence[Any], heads: Listing, bases: Listing) -> list[_Planned]:
    """Decide in GitHub's order what is read, until the bytes or the requests are spent."""
    planned: list[_Planned] = []
    bytes_left, blobs_left = MAX_TOTAL_BYTES, MAX_BLOBS
    for item in listed[:MAX_FILES]:
        one = _plan_file(item, heads, bases)
        sizes = [entry.size for entry in (one.head, one.base) if entry and entry.size]
        too_much = None
        if sum(sizes) > bytes_left:
            too_much = f"contents of the change beyond {MAX_TOTAL_BYTES} bytes are not read"
        elif len(sizes) > blobs_left:
            too_much = f"contents of the change after {MAX_BLOBS} requests for them are not read"
        if too_much:
            one, sizes = _Planned(replace(one.file, reason=_joined(one.file.reason, too_much))), []
        bytes_left -= sum(sizes)
        blobs_left -= len(sizes)
        planned.append(one)
    return planned


def _plan_file(item: Any, heads: Listing, bases: Listing) -> _Planned:
    status = shapes.text(item, "status")
    path, old_path = shapes.text(item, "filename"), _old_name(item)
    head = None if status == "removed" else heads.entries.get(path)
    base = None if status == "added" else bases.entries.get(old_path)
    patch = shapes.item(item, "patch")
    has_patch = isinstance(patch, str) and patch != ""
    changed = shapes.item(item, "changes") not in (0, None)
    unread, reason = _why_not(status, head, base, has_patch=has_patch, changed=changed)
    file = ChangedFile(
        path=_bytes(path),
        status=status if status in _STATUSES else "changed",
        previous_path=_bytes(old_path) if old_path != path else None,
        patch=_bytes(patch) if has_patch else None,
        old_mode=base.mode if base else None,
        new_mode=head.mode if head else None,
        reason=reason,
    )
    if unread:
        return _Planned(file)
    # The patch of a removed file is all of its content.
    return _Planned(file, head, base if status != "removed" or not has_patch else None)


def _why_not(
    status: str, head: Entry | None, base: Entry | None, *, has_patch: bool, changed: bool
) -> tuple[bool, str | None]:
    """Answer whether the contents stay unread, and why they or the patch are absent."""
    sides = [entry for entry in (head, base) if entry]
    modes = {entry.mode for entry in sides}
    if not sides or (head is None and status != "removed"):
        return True, "the file is not in the tree that the host gives"
    if trees.SUBMODULE_MODE in modes:
        return True, "a submodule, which is not followed"
    if trees.LINK_MODE in modes:
        return True, "a symbolic link, which is not followed"
    if modes - trees.REGULAR_MODES:
        return True, "not a regular file"
    if len({entry.sha for entry in sides}) == 1 and len(sides) == 2:
        moved = "renamed or copied without a change" if status in ("renamed", "copied") else "only the mode changed"
        return True, moved
    if not has_patch and not changed and any(entry.size for entry in sides):
        return True, "binary"
    if any(entry.size > MAX_FILE_BYTES for entry in sides):
        return True, f"larger than {MAX_FILE_BYTES} bytes"
    return False, None if has_patch or not changed else "the host gives no patch, as it is too large"


def _omissions(count: int, base_sha: str, heads: Listing, bases: Listing) -> list[Omission]:
    told: list[Omission] = []
    if count >= MAX_FILES:
        told.append(Omission(f"GitHub lists at most {MAX_FILES} files of a change; those beyond were not seen."))
    if not base_sha:
        told.append(Omission("GitHub could not tell where the change starts; contents before it were not read."))
    if not heads.complete or (base_sha and not bases.complete):
        told.append(Omission("The repository is too large for GitHub to list; some modes and contents are missing."))
    return told


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UnavailableError("the host's answer holds half a character") from None


def _joined(*reasons: str | None) -> str | None:
    return "; ".join(reason for reason in reasons if reason) or None
