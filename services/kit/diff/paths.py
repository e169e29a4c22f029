"""Paths as they stand in the headers of a diff: quoting, prefixes, timestamps; everything is bytes."""

import re
from typing import NamedTuple

DEV_NULL = b"/dev/null"

_QUOTED = re.compile(rb'"((?:[^"\\]++|\\[abtnvfr"\\]|\\[0-3][0-7][0-7])*+)"')
_ESCAPE = re.compile(rb"\\([0-3][0-7][0-7]|.)")
_ESCAPES = {
    b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r", b'"': b'"', b"\\": b"\\",
}  # fmt: skip
# git's own a/ b/, its mnemonic ones, those of --no-index, and what Bitbucket Data Center writes.
_KNOWN = re.compile(rb"(?:[abiwco12]/|src://|dst://)")
_EPOCH = re.compile(rb"(?:1970-01-01|1969-12-31) \d\d:\d\d:00(?:\.0+)? [-+]\d{4}")


class Pair(NamedTuple):
    """The names of a file on the old and on the new side."""

    old: bytes
    new: bytes


def unquote(field: bytes) -> bytes | None:
    """Undo git's C-style quoting of a whole field; a field without quotes comes back as it is, None if malformed."""
    if not field.startswith(b'"'):
        return field
    match = _QUOTED.fullmatch(field)
    return None if match is None else _unescape(match[1])


def name_and_stamp(field: bytes) -> tuple[bytes, bytes] | None:
    """Split what follows "--- " or "+++ " into the name and what a tab sets off from it; None if malformed."""
    if not field.startswith(b'"'):
        name, _, stamp = field.partition(b"\t")
        return name, stamp
    match = _QUOTED.match(field)
    if match is None or field[match.end() : match.end() + 1] not in (b"", b"\t"):
        return None
    return _unescape(match[1]), field[match.end() + 1 :]


def is_epoch(stamp: bytes) -> bool:
    """Whether a timestamp is the zero by which `diff -N` says that this side has no file."""
    return _EPOCH.fullmatch(stamp) is not None


def split_git_line(field: bytes) -> Pair | None:
    """Split what follows "diff --git " into its two names, prefixes removed; None where they can't be told apart.

    Names without quotes are told apart where there is one blank only, or where both are the same but for the prefix:
    git's grammar has no other separator. Where they differ, other headers of the file name them exactly.
    """
    if field.startswith(b'"'):
        match = _QUOTED.match(field)
        if match is None or field[match.end() : match.end() + 1] != b" ":
            return None
        old, new = _unescape(match[1]), unquote(field[match.end() + 1 :])
        return None if new is None else strip_prefixes(Pair(old, new))
    if field.endswith(b'"'):
        raw, _, rest = field.partition(b' "')
        new = unquote(b'"' + rest)
        return None if new is None else strip_prefixes(Pair(raw, new))
    middle = len(field) // 2
    if field[middle : middle + 1] == b" " and len(field) % 2:
        pair = strip_prefixes(Pair(field[:middle], field[middle + 1 :]))
        if pair.old == pair.new:
            return pair
    if field.count(b" ") != 1:
        return None
    left, _, right = field.partition(b" ")
    return strip_prefixes(Pair(left, right))


def strip_prefixes(pair: Pair) -> Pair:
    """Remove the prefixes of both names: equal names have none, known ones go, then any that leaves equal names."""
    old, new = pair
    if old == new:
        return pair
    if old == DEV_NULL or new == DEV_NULL:
        # One name alone does not show its prefix: only the usual ones are taken off.
        return Pair(_strip(old, b"a/", b"src://"), _strip(new, b"b/", b"dst://"))
    old_known, new_known = _KNOWN.match(old), _KNOWN.match(new)
    if old_known is not None and new_known is not None and old_known[0] != new_known[0]:
        return Pair(old[old_known.end() :], new[new_known.end() :])
    old_rest, new_rest = old.partition(b"/")[2], new.partition(b"/")[2]
    return Pair(old_rest, new_rest) if old_rest and old_rest == new_rest else pair


def _strip(name: bytes, *prefixes: bytes) -> bytes:
    for prefix in prefixes:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def _unescape(quoted: bytes) -> bytes:
    return _ESCAPE.sub(lambda m: bytes([int(m[1], 8)]) if len(m[1]) == 3 else _ESCAPES[m[1]], quoted)
