"""How parent and child talk: a length in four bytes, big-endian, then that many bytes.

Every message is JSON; the bytes of files follow a request as frames of their own, so nothing is ever unpickled or
re-encoded.
"""

import json
import struct
from typing import Any, BinaryIO

MAX_FRAME = 128 * 1024 * 1024
LENGTH = struct.Struct(">I")


class FrameError(Exception):
    """The other side broke the framing; the text is safe to show."""


def pack(payload: bytes) -> bytes:
    """One frame; raises FrameError above MAX_FRAME."""
    if len(payload) > MAX_FRAME:
        raise FrameError("a message is too large")
    return LENGTH.pack(len(payload)) + payload


def pack_json(message: object) -> bytes:
    """One frame of JSON; lone surrogates are escaped, so undecodable text survives the trip."""
    return pack(json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode("ascii"))


def parse_json(payload: bytes) -> Any:
    """The message in a frame; raises FrameError for anything that is not JSON."""
    try:
        return json.loads(payload, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FrameError("a message is not JSON") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def read(stream: BinaryIO) -> bytes:
    """Block for one frame; raises EOFError where the stream ends."""
    (length,) = LENGTH.unpack(_exactly(stream, LENGTH.size))
    if length > MAX_FRAME:
        raise FrameError("a message is too large")
    return _exactly(stream, length)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data
