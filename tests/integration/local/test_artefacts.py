"""What every store of chunks must do, on the real engine: keep, find, replace, forget; and what the codec refuses."""

import asyncio
import os
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from uuid import UUID, uuid4

import pytest

from migrations import documents as declare
from services.kit.artefacts.artefacts import Artefacts
from services.kit.artefacts.codec import CHUNK, ArtefactError, ArtefactTooLargeError, Encoder, expand
from services.kit.artefacts.mongodb import MongoChunks
from services.kit.artefacts.port import ChunkStore, Key, Manifest
from services.kit.artefacts.postgres import PostgresChunks
from services.kit.ids import new_id
from services.kit.postgres.pool import Database as Pool
from tests.support.mongodb import Documents
from tests.support.postgres import Database

ROOM = 64 * 1024 * 1024


@pytest.fixture
async def in_postgres(database: Database) -> AsyncIterator[ChunkStore]:
    async with Pool(database.app_dsn, "review", max_size=4) as pool:
        yield PostgresChunks(pool, "review")


@pytest.fixture
async def in_mongodb(documents: Documents) -> AsyncIterator[ChunkStore]:
    await declare.run(documents.uri)
    chunks = MongoChunks(documents.uri)
    yield chunks
    await chunks.close()


@pytest.fixture(params=["in_postgres", "in_mongodb"])
def store(request: pytest.FixtureRequest) -> ChunkStore:
    found: ChunkStore = request.getfixturevalue(request.param)
    return found


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def whole(artefacts: Artefacts, key: Key, limit: int = ROOM) -> bytes:
    return b"".join([piece async for piece in artefacts.get(key, limit)])


def key(name: str = "diff", organization: UUID | None = None) -> Key:
    return Key(organization or uuid4(), new_id(), name)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
async def test_what_is_put_is_what_is_got(store: ChunkStore, size: int) -> None:
    artefacts, at, content = Artefacts(store), key(), os.urandom(size)
    manifest = await artefacts.put(at, pieces(content[: size // 3], b"", content[size // 3 :]), ROOM)
    assert (manifest.size, manifest.chunks) == (size, -(-size // CHUNK))
    assert await whole(artefacts, at) == content


async def test_names_runs_and_organisations_are_told_apart(store: ChunkStore) -> None:
    artefacts, at = Artefacts(store), key()
    await artefacts.put(at, pieces(b"mine"), ROOM)
    for other in (
        Key(at.organization_id, at.run_id, "other"),
        Key(at.organization_id, new_id(), at.name),
        Key(uuid4(), at.run_id, at.name),
    ):
        assert not await artefacts.has(other)
        assert await store.chunk(other, 0) is None
        with pytest.raises(ArtefactError, match="there is no artefact"):
            await whole(artefacts, other)
    await artefacts.delete(uuid4(), at.run_id)
    assert await whole(artefacts, at) == b"mine"


async def test_a_second_put_replaces_the_first(store: ChunkStore) -> None:
    artefacts, at = Artefacts(store), key()
    await artefacts.put(at, pieces(os.urandom(2 * CHUNK)), ROOM)
    await artefacts.put(at, pieces(b"short"), ROOM)
    assert await whole(artefacts, at) == b"short"
    assert await store.chunk(at, 1) is None


async def test_a_put_that_breaks_off_keeps_nothing_and_spoils_nothing(store: ChunkStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield os.urandom(CHUNK)
        raise RuntimeError("the caller has gone")

    artefacts, at = Artefacts(store), key()
    with pytest.raises(RuntimeError, match="has gone"):
        await artefacts.put(at, broken(), ROOM)
    assert not await artefacts.has(at)
    await artefacts.put(at, pieces(b"whole"), ROOM)
    with pytest.raises(ArtefactTooLargeError):
        await artefacts.put(at, pieces(b"123456"), 5)
    assert await whole(artefacts, at) == b"whole"


async def test_a_run_is_forgotten_as_a_whole(store: ChunkStore) -> None:
    artefacts, at, kept = Artefacts(store), key(), key()
    for each in (at, Key(at.organization_id, at.run_id, "files"), kept):
        await artefacts.put(each, pieces(b"x"), ROOM)
    await artefacts.delete(at.organization_id, at.run_id)
    await artefacts.delete(at.organization_id, at.run_id)
    assert not await artefacts.has(at)
    assert await store.chunk(at, 0) is None
    assert [holder.run_id for holder in await artefacts.holders(None, 10)] == [kept.run_id]


async def test_holders_are_told_page_by_page(store: ChunkStore) -> None:
    artefacts, keys = Artefacts(store), [key() for _ in range(5)]
    for at in keys:
        await artefacts.put(at, pieces(b"x"), ROOM)
    found, after = [], None
    while page := await artefacts.holders(after, 2):
        assert len(page) <= 2
        found += page
        after = page[-1].run_id
    assert {(h.organization_id, h.run_id) for h in found} == {(k.organization_id, k.run_id) for k in keys}


async def test_more_than_the_reader_takes_is_refused_before_a_byte(store: ChunkStore) -> None:
    artefacts, at = Artefacts(store), key()
    await artefacts.put(at, pieces(b"123456"), ROOM)
    with pytest.raises(ArtefactTooLargeError):
        await whole(artefacts, at, 5)


async def test_puts_at_the_same_time_do_not_mix(store: ChunkStore) -> None:
    artefacts, keys = Artefacts(store), [key() for _ in range(4)]
    contents = [os.urandom(CHUNK + number) for number in range(4)]
    await asyncio.gather(*(artefacts.put(k, pieces(c), ROOM) for k, c in zip(keys, contents, strict=True)))
    assert [await whole(artefacts, k) for k in keys] == contents


async def encoded(content: bytes) -> tuple[list[bytes], Manifest]:
    encoder = Encoder(pieces(content), ROOM)
    return [chunk async for chunk in encoder.chunks()], encoder.manifest()


DAMAGE: dict[str, Callable[[Sequence[bytes]], Sequence[bytes]]] = {
    "a bomb": lambda chunks: [zlib.compress(bytes(100 * CHUNK)), *chunks[1:]],
    "no zlib": lambda chunks: [b"\0" * 20, *chunks[1:]],
    "a cut chunk": lambda chunks: [chunks[0][:-9], *chunks[1:]],
    "bytes behind the end": lambda chunks: [chunks[0] + b"more", *chunks[1:]],
    "a lost chunk": lambda chunks: chunks[:-1],
    "a doubled chunk": lambda chunks: [*chunks, chunks[-1]],
    "another order": lambda chunks: [*chunks[1:], chunks[0]],
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_is_noticed(damage: str) -> None:
    chunks, manifest = await encoded(os.urandom(CHUNK) + b"the rest")
    with pytest.raises(ArtefactError, match="damaged"):
        async for piece in expand(pieces(*DAMAGE[damage](chunks)), manifest, ROOM):
            assert len(piece) <= CHUNK
