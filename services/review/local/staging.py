"""An upload on its way: kept outside of memory, in files without a name, until it is whole."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from types import TracebackType
from typing import IO, Self
from uuid import UUID

from services.kit.artefacts.artefacts import Artefacts
from services.kit.artefacts.port import Key
from services.kit.errors import AppError, Reason
from services.review.local.pieces import DIFF, FILES, MAX_FILES, MAX_SARIF, MAX_UPLOAD, SARIF, Part, Piece, pack_file

_IN_MEMORY = 512 * 1024  # bytes of each part; most changes never touch the disk
_READ = 1024 * 1024
_NAMES = {Part.DIFF: DIFF, Part.FILE: FILES, Part.SARIF: SARIF}


class Staging:
    """Takes pieces in their order, then brings them into artefacts. Nothing is left of it when its block ends."""

    def __init__(self, limit: int = MAX_UPLOAD) -> None:
        self._limit = limit
        self._files: dict[Part, IO[bytes]] = {}
        self._sizes: dict[Part, int] = {}
        self._last = Part.DIFF
        self._sides: set[tuple[bytes, bool]] = set()
        self._paths: set[bytes] = set()
        self._side: tuple[bytes, bool] | None = None

    def __enter__(self) -> Self:
        """Begin without any file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files, which makes them go away."""
        for file in self._files.values():
            file.close()

    async def add(self, piece: Piece) -> None:
        """Take a piece. Raises AppError: INVALID_REQUEST out of order, BODY_TOO_LARGE above a limit."""
        if piece.part < self._last:
            raise _out_of_order("Send the diff first, then files, then SARIF.")
        self._last = piece.part
        data = piece.data
        if piece.part is Part.FILE:
            self._note_side(piece)
            data = pack_file(piece)
        size = self._sizes.get(piece.part, 0) + len(data)
        if piece.part is Part.SARIF and size > MAX_SARIF:
            raise AppError(Reason.BODY_TOO_LARGE, f"A SARIF log may have at most {MAX_SARIF:,} bytes.")
        if sum(self._sizes.values()) + len(data) > self._limit:
            raise AppError(Reason.BODY_TOO_LARGE, f"An upload may have at most {self._limit:,} bytes in all.")
        self._sizes[piece.part] = size
        await self._write(piece.part, data)

    async def keep(self, artefacts: Artefacts, organization_id: UUID, run_id: UUID) -> None:
        """Bring everything into the artefacts of a run. Raises AppError(INVALID_REQUEST) where there is no diff."""
        if not self._sizes.get(Part.DIFF):
            raise AppError(Reason.INVALID_REQUEST, "The upload has no diff.")
        for part, file in self._files.items():
            file.seek(0)
            await artefacts.put(Key(organization_id, run_id, _NAMES[part]), _pieces(file), self._limit)

    def _note_side(self, piece: Piece) -> None:
        side = (piece.path, piece.is_base)
        if side == self._side:
            return
        if side in self._sides:
            raise _out_of_order("The pieces of a file must follow each other.")
        self._side = side
        self._sides.add(side)
        self._paths.add(piece.path)
        if len(self._paths) > MAX_FILES:
            raise AppError(Reason.BODY_TOO_LARGE, f"An upload may have at most {MAX_FILES:,} files.")

    async def _write(self, part: Part, data: bytes) -> None:
        if part not in self._files:
            # Without a name and open to this process only, so it is gone with it, however that ends.
            self._files[part] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by __exit__
        await asyncio.to_thread(self._files[part].write, data)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _READ):
        yield piece


def _out_of_order(message: str) -> AppError:
    return AppError(Reason.INVALID_REQUEST, message)
