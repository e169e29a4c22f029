"""Unified diffs, as git, `diff -u` and the code hosts write them: read exactly, or refused.

Everything is bytes; lines end at line feeds only; content is told from headers by the counts of its hunk, never by how
it looks. What may stand between files (commit messages, mail headers, "Only in ...") is passed over.
"""

from collections.abc import Iterator
from typing import BinaryIO

from services.kit.diff.errors import DiffError
from services.kit.diff.files import OLD_NAME, read_git_file, read_plain_file, read_sides
from services.kit.diff.headers import GIT_LINE
from services.kit.diff.hunks import read_hunks
from services.kit.diff.lines import Lines
from services.kit.diff.model import FileDiff, Hunk

_COMBINED = (b"diff --cc ", b"diff --combined ")
_STRAY_HUNK = (b"@@ -", b"@@@ -")


def parse_diff(source: bytes | BinaryIO) -> Iterator[FileDiff]:
    """Yield the files of a diff in order, reading `source` no further than needed and holding one file at a time.

    Raises DiffError on malformed and on combined diffs, and on text that is no diff at all; the files before the fault
    have been yielded by then. Blank input yields nothing.
    """
    lines = Lines(source)
    found, text_at, hunks_end = False, 0, 0
    while lines.current:
        number = lines.number
        if lines.current.startswith(GIT_LINE):
            yield read_git_file(lines)
        elif lines.current.startswith(OLD_NAME):
            sides = read_sides(lines)
            if sides is None:
                if number == hunks_end:
                    raise DiffError("a hunk has more lines than its header says", number)
                text_at = text_at or number
                continue
            yield read_plain_file(lines, sides)
        elif lines.current.startswith(_COMBINED):
            raise lines.error("combined diffs of merges are not supported")
        elif lines.current.startswith(_STRAY_HUNK):
            raise lines.error("a hunk that belongs to no file")
        else:
            if not (text_at or lines.current.isspace()):
                text_at = number
            lines.advance()
            continue
        found, hunks_end = True, lines.number
    if text_at and not found:
        raise DiffError("this is no diff: it names no changed file", text_at)


def parse_patch(patch: bytes) -> tuple[Hunk, ...]:
    """Read hunks that stand without a file header, as in GitHub's `patch` field; b"" has none. Raises DiffError."""
    lines = Lines(patch)
    hunks = read_hunks(lines)
    if lines.current:
        raise lines.error("expected a hunk header")
    return hunks
