"""The adapter by itself, reading: a change of every kind (rows 1-10), and what nobody may learn."""

import json
from collections.abc import AsyncIterator

import pytest

from services.webhooks.hosts.base import ChangedFile, PullRequest, SourcePiece
from tests.contract.hosts.github import repository as kinds
from tests.contract.hosts.rigs import RIGS, Rig
from tests.support.system import TOKEN


@pytest.fixture
async def odd(rig_name: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A change of every kind (rows 1-10): renames, modes, links, submodules, binaries, odd names and line ends."""
    made = RIGS[rig_name](kinds.all_kinds(tmp_path_factory.mktemp("odd") / "repository").path)
    async with made.emulator:
        await made.open("topic", "main")
        yield made
        made.emulator.check()


async def read(rig: Rig, number: int = 1) -> list[SourcePiece]:
    host = rig.host()
    try:
        return [piece async for piece in host.read_source(rig.ref(number))]
    finally:
        await host.close()


async def test_every_kind_of_change_is_read_or_told(odd: Rig) -> None:
    pieces = await read(odd)
    pull = pieces[0]
    assert isinstance(pull, PullRequest) and pull.open and not pull.draft
    files = {piece.path.decode(): piece for piece in pieces if isinstance(piece, ChangedFile)}
    assert files["modified.py"].patch and files["modified.py"].head == kinds.changed_lines(7).encode()
    assert files["modified.py"].base == kinds.WIDE_MODULE.encode()
    assert files["removed.py"].status == "removed" and files["removed.py"].head is None
    assert (files["pure/new.txt"].previous_path, files["pure/new.txt"].patch) == (b"pure/old.txt", None)
    assert files["edited/new.txt"].previous_path == b"edited/old.txt" and files["edited/new.txt"].patch
    assert (files["script.sh"].old_mode, files["script.sh"].new_mode) == ("100644", "100755")
    assert files[kinds.ODD_PATH].head == b"odd\n"
    assert files["crlf.txt"].head == b"one\r\ntwo\r\n"
    assert files["empty.txt"].reason is None
    reasons = {name: file.reason or "" for name, file in files.items()}
    for name, words in {
        "vendor": "submodule",
        "link": "symbolic link",
        "picture.png": "binary",
        "pure/new.txt": "without a change",
        "script.sh": "mode",
        "big.txt": "larger than",
    }.items():
        assert words in reasons[name] and files[name].head is None, name


async def test_no_token_is_told_to_anyone(small: Rig) -> None:
    host = small.host()
    try:
        await host.get_pull_request(small.ref())
        said = json.dumps([[one.path, one.query, one.body] for one in small.emulator.requests])
        assert TOKEN not in said and TOKEN not in repr(host.__dict__)
    finally:
        await host.close()
