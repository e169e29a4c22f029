"""Reading a change from the strict emulator: every kind of file, every limit, and a push in the middle."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emulators.github import GitHubEmulator
from emulators.github.model import Limits
from services.webhooks.hosts.base import (
    ChangedFile,
    ForbiddenError,
    MovedError,
    NotFoundError,
    Omission,
    PullRequest,
    RateLimitedError,
    SourcePiece,
    StaticToken,
    UnauthorizedError,
    UnavailableError,
)
from services.webhooks.hosts.github import source, trees
from services.webhooks.hosts.github.client import Client
from services.webhooks.hosts.github.reviews import GitHub
from services.webhooks.hosts.marker import Marker
from tests.contract.hosts.github.conftest import TOKEN, make_ref
from tests.contract.hosts.github.repository import LFS_POINTER, ODD_PATH, WIDE_MODULE, Repository, changed_lines

REF = make_ref()


@asynccontextmanager
async def emulated(path: Path, limits: Limits | None = None) -> AsyncIterator[tuple[GitHubEmulator, GitHub]]:
    async with GitHubEmulator(path, "acme", "shop", TOKEN, limits=limits) as emulator:
        host = GitHub(Client(StaticToken(TOKEN), emulator.url), Marker([b"k" * 32]))
        try:
            yield emulator, host
        finally:
            await host.close()
        emulator.check()


async def read(host: GitHub) -> list[SourcePiece]:
    return [piece async for piece in host.read_source(REF)]


def files_of(pieces: list[SourcePiece]) -> dict[str, ChangedFile]:
    return {piece.path.decode(): piece for piece in pieces if isinstance(piece, ChangedFile)}


async def test_the_pull_request(small_repository: Path) -> None:
    async with emulated(small_repository) as (emulator, host):
        opened = await emulator.open_pull(head="topic-1", base="main", title="T", draft=True, head_repository="deleted")
        pull = await host.get_pull_request(REF)
        assert dataclasses.replace(pull, url="") == PullRequest(
            REF, True, True, opened.head_sha, "main", opened.base_sha, "", "T"
        )
        emulator.close(opened.number)
        assert not (await host.get_pull_request(REF)).open


async def test_every_kind_of_file(all_kinds_repository: Path) -> None:
    async with emulated(all_kinds_repository) as (emulator, host):
        opened = await emulator.open_pull(head="topic", base="main")
        pieces = await read(host)
    assert isinstance(pieces[0], PullRequest)
    assert pieces[0].head_sha == opened.head_sha
    assert pieces[0].base_sha == opened.state_now.merge_base != opened.base_sha
    assert not [piece for piece in pieces if isinstance(piece, Omission)]
    files = files_of(pieces)

    modified = files["modified.py"]
    assert modified.status == "modified" and modified.patch and modified.patch.startswith(b"@@ ")
    assert modified.head == changed_lines(7).encode() and modified.base == WIDE_MODULE.encode()
    assert (modified.old_mode, modified.new_mode, modified.reason) == ("100644", "100644", None)

    assert files["removed.py"].status == "removed" and files["removed.py"].head is None
    assert files["removed.py"].new_mode is None and files["removed.py"].old_mode == "100644"
    assert files["pure/new.txt"].previous_path == b"pure/old.txt" and files["pure/new.txt"].patch is None
    assert "without a change" in (files["pure/new.txt"].reason or "")
    assert files["edited/new.txt"].base == b"same\n" * 20 and files["edited/new.txt"].status == "renamed"
    assert (files["script.sh"].old_mode, files["script.sh"].new_mode) == ("100644", "100755")
    assert "only the mode" in (files["script.sh"].reason or "")
    assert files["link"].new_mode == "120000" and files["link"].head is None
    assert "symbolic link" in (files["link"].reason or "")
    assert files["vendor"].new_mode == "160000" and "submodule" in (files["vendor"].reason or "")
    assert files["picture.png"].reason == "binary" and files["picture.png"].head is None
    assert "larger than" in (files["big.txt"].reason or "") and files["big.txt"].head is None
    assert files["empty.txt"].head == b"" and files["empty.txt"].reason is None
    assert files["weights.bin"].head == LFS_POINTER.encode()
    assert files[ODD_PATH].head == b"odd\n" and files[ODD_PATH].old_mode is None
    assert files["crlf.txt"].head == b"one\r\ntwo\r\n"
    everything = b"".join((file.head or b"") + (file.base or b"") for file in files.values())
    assert b"secret of the target" not in everything
    # One pull request twice, one comparison, one page of files, two trees, and a blob a side of what is read.
    blobs = len(emulator.calls("git/get-blob"))
    assert len(emulator.requests) == 6 + blobs and blobs == sum(bool(f.head) + bool(f.base) for f in files.values())


async def test_pages_and_cut_trees(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "many")
    repository.write("deep/a/b/base.txt", "x\n")
    repository.commit("start")
    repository.git("checkout", "-q", "-b", "topic")
    for number in range(130):
        repository.write(f"deep/a/{number:03}.txt", f"{number}\n")
    repository.write("other/z.txt", "z\n")
    repository.commit("many")
    async with emulated(repository.path, Limits(tree_entries=140)) as (emulator, host):
        await emulator.open_pull(head="topic", base="main")
        pieces = await read(host)
        files = files_of(pieces)
        assert len(files) == 131 and all(file.head for file in files.values())
        assert len(emulator.calls("pulls/list-files")) == 2
    async with emulated(repository.path, Limits(tree_entries=20)) as (emulator, host):
        await emulator.open_pull(head="topic", base="main")
        pieces = await read(host)
        files = files_of(pieces)
        assert len(files) == 131 and files["other/z.txt"].head == b"z\n"  # found by walking
        # One directory alone is beyond what the host lists here, and that is told.
        assert any(isinstance(piece, Omission) and "too large" in piece.text for piece in pieces)
        assert {bool(file.head) == (file.reason is None) for file in files.values()} == {True}


async def test_the_cap_of_files_is_told(small_repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_FILES", 2)
    async with emulated(small_repository, Limits(files=2)) as (emulator, host):
        await emulator.open_pull(head="topic-1", base="main")
        pieces = await read(host)
    assert len(files_of(pieces)) == 2
    assert any(isinstance(piece, Omission) and "at most 2 files" in piece.text for piece in pieces)


async def test_a_missing_patch_and_a_spent_total_are_told(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with emulated(small_repository, Limits(file_bytes=100)) as (emulator, host):
        await emulator.open_pull(head="topic-1", base="main")
        wide = files_of(await read(host))["wide.py"]
        assert wide.patch is None and wide.head and "no patch" in (wide.reason or "")
        monkeypatch.setattr(source, "MAX_TOTAL_BYTES", 50)
        files = files_of(await read(host))
        assert files["wide.py"].head is None and "beyond 50 bytes" in (files["wide.py"].reason or "")
        assert files["new.py"].head is not None


async def test_a_change_of_very_many_files_is_read_within_what_the_host_allows(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "thousand")
    repository.write("base.txt", "x\n")
    repository.commit("start")
    repository.git("checkout", "-q", "-b", "topic")
    for number in range(1000):
        repository.write(f"d/{number:04}.py", f"x = {number}\n")
    repository.commit("thousand")
    async with emulated(repository.path) as (emulator, host):  # with GitHub's 900 points a minute
        await emulator.open_pull(head="topic", base="main")
        files = files_of(await read(host))
        assert len(emulator.calls("git/get-blob")) == source.MAX_BLOBS
    assert len(files) == 1000 and all(file.patch for file in files.values())
    unread = [file.reason for file in files.values() if file.head is None]
    assert len(unread) == 1000 - source.MAX_BLOBS
    assert all(f"after {source.MAX_BLOBS}" in (reason or "") for reason in unread)


async def test_a_walk_that_would_be_too_long_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(tmp_path / "wide")
    repository.write("a/a", "x\n")
    repository.commit("start")
    repository.git("checkout", "-q", "-b", "topic")
    for number in range(12):
        repository.write(f"d{number:02}/f.txt", "x\n")
    repository.commit("wide")
    monkeypatch.setattr(trees, "MAX_WALKED", 5)
    async with emulated(repository.path, Limits(tree_entries=14)) as (emulator, host):
        await emulator.open_pull(head="topic", base="main")
        pieces = await read(host)
    assert any(isinstance(piece, Omission) and "too large" in piece.text for piece in pieces)
    assert {file.reason for file in files_of(pieces).values() if file.head is None} == {
        "the file is not in the tree that the host gives"
    }


async def test_a_push_while_reading(small_repository: Path) -> None:
    async with emulated(small_repository) as (emulator, host):
        await emulator.open_pull(head="topic-1", base="main")
        stall = emulator.fail("pulls/list-files", when="before", action="stall")
        stream = host.read_source(REF)
        first = await anext(stream)
        assert isinstance(first, PullRequest)

        async def push() -> None:
            await stall.reached.wait()
            await emulator.set_head(1, "topic-2")
            stall.release()

        pushing = asyncio.create_task(push())
        with pytest.raises(MovedError):
            _ = [piece async for piece in stream]
        await pushing


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (401, {}, UnauthorizedError),
        (403, {}, ForbiddenError),
        (404, {}, NotFoundError),
        (429, {}, RateLimitedError),
        (429, {"Retry-After": "30"}, RateLimitedError),
        (500, {}, UnavailableError),
        (502, {}, UnavailableError),
    ],
)
@pytest.mark.parametrize("operation", ["pulls/get", "pulls/list-files", "git/get-tree", "git/get-blob"])
async def test_failures_while_reading(
    small_repository: Path, operation: str, status: int, headers: dict[str, str], error: type[Exception]
) -> None:
    async with emulated(small_repository) as (emulator, host):
        await emulator.open_pull(head="topic-1", base="main")
        emulator.fail(operation, status=status, headers=headers, times=99)
        if status == 404 and operation.startswith("git/"):
            pieces = await read(host)  # what the host has lost is told, file by file
            assert files_of(pieces) and all(file.reason for file in files_of(pieces).values() if file.head is None)
            return
        with pytest.raises(error):
            await read(host)


async def test_a_file_that_nobody_reads_to_the_end_leaves_nothing_running(small_repository: Path) -> None:
    async with emulated(small_repository) as (emulator, host):
        await emulator.open_pull(head="topic-3", base="main")
        stream = host.read_source(REF)
        await anext(stream)
        assert isinstance(await anext(stream), ChangedFile)
        await stream.aclose()  # type: ignore[attr-defined]
        assert (await host.get_pull_request(REF)).open


async def test_a_name_that_is_none_reaches_no_host(small_repository: Path) -> None:
    async with emulated(small_repository) as (emulator, host):
        for name in ("acme", "../../user", "acme/shop/../x", "acme/shop?x=1", "acme/%2e%2e", ""):
            with pytest.raises(NotFoundError):
                await host.get_pull_request(dataclasses.replace(REF, repository=name))
        assert emulator.requests == []


async def test_a_name_that_is_another_repository_s_now_is_not_read(small_repository: Path) -> None:
    async with emulated(small_repository) as (emulator, host):
        await emulator.open_pull(head="topic-1", base="main")
        with pytest.raises(NotFoundError, match="not that repository's"):
            await host.get_pull_request(dataclasses.replace(REF, repository_id="4712"))
