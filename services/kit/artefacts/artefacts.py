"""Named streams of bytes that belong to a run: what it reads, and what it leaves behind."""

from collections.abc import AsyncIterable, AsyncIterator
from uuid import UUID

from services.kit.artefacts.codec import ArtefactError, Encoder, expand
from services.kit.artefacts.port import ChunkStore, Holder, Key, Manifest


class Artefacts:
    """Puts, gets and deletes artefacts in a store of chunks; holds one chunk of a stream at a time."""

    def __init__(self, store: ChunkStore) -> None:
        self._store = store

    async def put(self, key: Key, content: AsyncIterable[bytes], limit: int) -> Manifest:
        """Keep `content` in place of any earlier one, whole or not at all. Raises ArtefactTooLargeError."""
        encoder = Encoder(content, limit)
        await self._store.put(key, encoder.chunks(), encoder.manifest)
        return encoder.manifest()

    async def has(self, key: Key) -> bool:
        """Answer whether there is such an artefact."""
        return await self._store.manifest(key) is not None

    async def get(self, key: Key, limit: int) -> AsyncIterator[bytes]:
        """Yield the content. Raises ArtefactError where it is missing, damaged, or larger than `limit` bytes."""
        manifest = await self._store.manifest(key)
        if manifest is None:
            raise ArtefactError(f"there is no artefact {key.name}")
        async for piece in expand(self._chunks(key, manifest), manifest, limit):
            yield piece

    async def delete(self, organization_id: UUID, run_id: UUID) -> None:
        """Forget every artefact of a run; there may be none."""
        await self._store.delete(organization_id, run_id)

    async def holders(self, after: UUID | None, limit: int) -> list[Holder]:
        """Answer runs that have artefacts, of all organisations, by id from behind `after`."""
        return await self._store.holders(after, limit)

    async def problem(self) -> str | None:
        """Answer what is wrong with the store (a `Check` of kit.app)."""
        return await self._store.problem()

    async def close(self) -> None:
        """Let go of the store."""
        await self._store.close()

    async def _chunks(self, key: Key, manifest: Manifest) -> AsyncIterator[bytes]:
        for position in range(manifest.chunks):
            chunk = await self._store.chunk(key, position)
            if chunk is None:
                raise ArtefactError("an artefact is damaged: a chunk is missing")
            yield chunk
