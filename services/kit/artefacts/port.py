"""The port to whatever keeps the bytes of runs: chunks under a key, sealed by a manifest. It knows no compression."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Key:
    """Names an artefact of a run."""

    organization_id: UUID
    run_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artefact amounts to: bytes and SHA-256 of its content, and how many chunks hold it."""

    size: int
    sha256: str
    chunks: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A run that has artefacts, and when the first of them was made."""

    organization_id: UUID
    run_id: UUID
    create_time: datetime


class ChunkStore(Protocol):
    """Keeps chunks. An artefact without its manifest does not exist. Methods raise AppError(UNAVAILABLE)."""

    async def put(self, key: Key, chunks: AsyncIterator[bytes], manifest: Callable[[], Manifest]) -> None:
        """Keep an artefact in place of any earlier one; `manifest` is asked when `chunks` has ended.

        Nothing is kept where `chunks` raises; what it raises is raised.
        """

    async def manifest(self, key: Key) -> Manifest | None:
        """Answer the manifest, None where there is no such artefact."""

    async def chunk(self, key: Key, position: int) -> bytes | None:
        """Answer one chunk, counted from 0."""

    async def delete(self, organization_id: UUID, run_id: UUID) -> None:
        """Forget every artefact of a run; there may be none."""

    async def problem(self) -> str | None:
        """Answer what is wrong with the store, empty if nothing is; None where it is no part of its own."""

    async def close(self) -> None:
        """Let go of the store."""

    async def holders(self, after: UUID | None, limit: int) -> list[Holder]:
        """Answer runs that have artefacts, of all organisations, by id from behind `after`."""
