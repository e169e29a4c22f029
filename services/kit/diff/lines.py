"""The input of the parser, one line at a time."""

import io
from typing import BinaryIO

from services.kit.diff.errors import DiffError


class Lines:
    """A cursor over the lines of a diff, split on line feeds only; nothing but the current line is held.

    `rest` may be iterated directly where speed counts; `resume` must then be told how many lines were taken.
    """

    __slots__ = ("current", "number", "rest")

    def __init__(self, source: bytes | BinaryIO) -> None:
        if isinstance(source, io.RawIOBase):
            source = io.BufferedReader(source)  # unbuffered, it would be asked for one byte at a time
        self.rest = iter(io.BytesIO(source) if isinstance(source, bytes) else source)
        self.current = next(self.rest, b"")  # with its line feed; empty at the end of the input
        self.number = 1

    def advance(self) -> None:
        """Move to the next line."""
        self.current = next(self.rest, b"")
        self.number += 1

    def resume(self, taken: int) -> None:
        """Move past `taken` lines that were read from `rest`, to the line after them."""
        self.number += taken
        self.advance()

    def error(self, reason: str) -> DiffError:
        """A DiffError about the current line."""
        return DiffError(reason, self.number)


def header_text(line: bytes, number: int) -> bytes:
    """A header line without its line feed; raises DiffError where it ends in a carriage return."""
    text = line.removesuffix(b"\n")
    if text.endswith(b"\r"):  # a name that ends in CR is quoted, so this CR belongs to the line end
        raise DiffError("the line ends of this diff were converted to CRLF; take it again unconverted", number)
    return text
