"""Chunking and compression: above the port, so that every store keeps the same bytes."""

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterable, AsyncIterator

from services.kit.artefacts.port import Manifest

CHUNK = 1024 * 1024  # bytes before compression; below every store's limit of a document or a field
_LEVEL = 3  # source code: nearly the ratio of 6 at three times its speed


class ArtefactError(Exception):
    """An artefact is missing, damaged or too large; the text is safe to show."""


class ArtefactTooLargeError(ArtefactError):
    """The content has more bytes than it may."""


class Encoder:
    """Turns content into compressed chunks; holds one chunk at a time. Iterate it once, then ask for the manifest."""

    def __init__(self, content: AsyncIterable[bytes], limit: int) -> None:
        self._content = content
        self._limit = limit
        self._digest = hashlib.sha256()
        self._size = 0
        self._chunks = 0

    def manifest(self) -> Manifest:
        """Answer what has been encoded."""
        return Manifest(self._size, self._digest.hexdigest(), self._chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks in order. Raises ArtefactTooLargeError above the limit."""
        pending = bytearray()
        async for piece in self._content:
            if self._size + len(pending) + len(piece) > self._limit:
                raise ArtefactTooLargeError(f"an artefact may have at most {self._limit:,} bytes")
            pending += piece
            while len(pending) >= CHUNK:
                yield await self._encode(bytes(pending[:CHUNK]))
                del pending[:CHUNK]
        if pending:
            yield await self._encode(bytes(pending))

    async def _encode(self, plain: bytes) -> bytes:
        self._digest.update(plain)
        self._size += len(plain)
        self._chunks += 1
        return await asyncio.to_thread(zlib.compress, plain, _LEVEL)


async def expand(chunks: AsyncIterable[bytes], manifest: Manifest, limit: int) -> AsyncIterator[bytes]:
    """Yield the content of chunks, each bounded before it is unpacked, and check it against the manifest.

    Raises ArtefactTooLargeError before the first byte where the manifest promises more than `limit`, and ArtefactError
    for anything that is not what was put; the last bytes have been yielded by the time the digest is compared.
    """
    if manifest.size > limit:
        raise ArtefactTooLargeError(f"an artefact may have at most {limit:,} bytes")
    digest, size = hashlib.sha256(), 0
    async for chunk in chunks:
        plain = await asyncio.to_thread(_unpack, chunk)
        size += len(plain)
        if size > manifest.size:
            raise ArtefactError("an artefact is damaged: it is longer than it was")
        digest.update(plain)
        yield plain
    if (size, digest.hexdigest()) != (manifest.size, manifest.sha256):
        raise ArtefactError("an artefact is damaged: its digest is another")


def _unpack(chunk: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(chunk, CHUNK)
    except zlib.error:
        raise ArtefactError("an artefact is damaged: a chunk can't be unpacked") from None
    if not unpacker.eof or unpacker.unused_data:
        raise ArtefactError("an artefact is damaged: a chunk is not as long as it says")
    return plain
