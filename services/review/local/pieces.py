"""The pieces of an upload: in which order they come, how large they may be, and how files lie in one artefact."""

import struct
from collections.abc import AsyncIterable
from dataclasses import dataclass
from enum import IntEnum

from services.kit.artefacts.codec import ArtefactError
from services.review.domain import UploadedFile

MAX_UPLOAD = 64 * 1024 * 1024  # bytes of everything that is kept of one upload
MAX_SARIF = 16 * 1024 * 1024
MAX_FILES = 10_000
DIFF, FILES, SARIF = "diff", "files", "sarif"  # the names of the artefacts
_HEAD = struct.Struct(">HBI")  # of a piece of a file: length of the path, whether it is the base, length of the data


class Part(IntEnum):
    """What a piece belongs to, in the order in which pieces come."""

    DIFF = 1
    FILE = 2
    SARIF = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of an upload; `path` and `is_base` are those of a file."""

    part: Part
    data: bytes
    path: bytes = b""
    is_base: bool = False


def pack_file(piece: Piece) -> bytes:
    """A piece of a file as it lies in the artefact; the pieces of one side follow each other."""
    return _HEAD.pack(len(piece.path), piece.is_base, len(piece.data)) + piece.path + piece.data


async def unpack_files(stream: AsyncIterable[bytes]) -> tuple[UploadedFile, ...]:
    """Put the files of an artefact together again, holding their bytes once. Raises ArtefactError if it ends early."""
    sides: dict[tuple[bytes, bool], list[bytes]] = {}
    buffer = bytearray()
    async for piece in stream:
        buffer += piece
        taken = 0
        while (end := _end_of_piece(buffer, taken)) is not None:
            path_length, is_base, _ = _HEAD.unpack_from(buffer, taken)
            start = taken + _HEAD.size
            path = bytes(buffer[start : start + path_length])
            sides.setdefault((path, bool(is_base)), []).append(bytes(buffer[start + path_length : end]))
            taken = end
        del buffer[:taken]
    if buffer:
        raise ArtefactError("an artefact is damaged: it ends inside a file")
    paths = dict.fromkeys(path for path, _ in sides)
    return tuple(UploadedFile(path, _joined(sides, path, False), _joined(sides, path, True)) for path in paths)


def _end_of_piece(buffer: bytearray, start: int) -> int | None:
    """Where the piece at `start` ends, None where it is not all there yet."""
    if len(buffer) - start < _HEAD.size:
        return None
    path_length, _, length = _HEAD.unpack_from(buffer, start)
    end: int = start + _HEAD.size + path_length + length
    return end if end <= len(buffer) else None


def _joined(sides: dict[tuple[bytes, bool], list[bytes]], path: bytes, is_base: bool) -> bytes | None:
    pieces = sides.pop((path, is_base), None)
    return None if pieces is None else b"".join(pieces)
