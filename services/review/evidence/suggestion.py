"""Making a claimed replacement fit the lines its quote was found at, or leaving it out."""

from collections.abc import Sequence

from services.kit.diff.model import Line, Side
from services.review.evidence.index import Hit
from services.review.evidence.quote import indent_of, key_of
from services.review.evidence.shown import Segment


def fitted(
    replacement: str, side: Side, hit: Hit, segment: Segment, lines: Sequence[Line], texts: Sequence[str]
) -> str | None:
    """Return the text that replaces `lines` (the whole quote, at `hit`), written as a quote is; None if unsure.

    It is left out on the old side; where a line was shown otherwise than it is stored (masked, not UTF-8), as it would
    write back what was shown; where its marks or its indentation can't be brought in line with the quote's; and
    where it changes nothing. "" deletes the lines.
    """
    if side is Side.LEFT or not _as_stored(lines, texts) or not _encodes(replacement):
        return None
    if replacement == "":
        return ""
    wanted = [line.removesuffix("\r") for line in replacement.removesuffix("\n").split("\n")]
    unmarked = _unmarked(wanted) if hit.reading.marked else wanted
    if unmarked is None:
        return None
    trimmed = _trimmed(unmarked, hit.reading.lead, hit.reading.tail)
    shifted = trimmed if hit.exact else _shifted(trimmed, hit, texts)
    if not shifted or not any(key_of(line, marked=False) for line in shifted):
        return None
    ended = _ended(shifted, lines, segment)
    return None if ended is None or ended == "\n".join(texts) else ended


def _as_stored(lines: Sequence[Line], texts: Sequence[str]) -> bool:
    return all(text.encode("utf-8", "replace") == line.text for line, text in zip(lines, texts, strict=True))


def _encodes(text: str) -> bool:
    """Tell whether the text holds no lone surrogate, which JSON can carry and UTF-8 can't."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _unmarked(lines: Sequence[str]) -> list[str] | None:
    """Take off the marks of added lines; lines without any mark stay, anything between is unclear."""
    solid = [line for line in lines if line.strip(" \t\r")]
    if all(line[0] == "+" for line in solid):
        return [line[1:] for line in lines]
    return None if any(line[0] in "+-" for line in solid) else list(lines)


def _trimmed(lines: Sequence[str], lead: int, tail: int) -> list[str]:
    """Leave off as many blank lines at the ends as the quote lost there."""
    first, stop = 0, len(lines)
    while first < min(lead, stop) and not key_of(lines[first], marked=False):
        first += 1
    while stop > max(first, len(lines) - tail) and not key_of(lines[stop - 1], marked=False):
        stop -= 1
    return list(lines[first:stop])


def _shifted(lines: Sequence[str], hit: Hit, texts: Sequence[str]) -> list[str] | None:
    """Shift the lines by the blanks that lead from the quote's indentation to the file's, None where none do.

    A quote one space to the right of the file may be a copy of context lines with their mark; whether the
    replacement has it too is unknown.
    """
    marked = hit.reading.marked
    pairs = {
        (indent_of(line, marked), indent_of(text, False))
        for line, text, key in zip(hit.reading.lines, texts, hit.reading.keys, strict=True)
        if key
    }
    quoted, stored = next(iter(pairs))
    if stored.endswith(quoted):
        more = stored[: len(stored) - len(quoted)]
        if any(more + old != new for old, new in pairs):
            return None
        return [more + line if key_of(line, False) else line for line in lines]
    less = quoted[: len(quoted) - len(stored)]
    if less == " " or any(less + new != old for old, new in pairs):
        return None
    if any(key_of(line, False) and not line.startswith(less) for line in lines):
        return None
    return [line.removeprefix(less) for line in lines]


def _ended(lines: Sequence[str], replaced: Sequence[Line], segment: Segment) -> str | None:
    """Join the lines with the line ends of those they replace, None where these are mixed."""
    ends = {line.text.endswith(b"\r") for line in replaced if line.newline}
    ends = ends or {line.text.endswith(b"\r") for line in segment.lines if line.newline}
    if len(ends) > 1:
        return None
    if ends != {True}:
        return "\n".join(lines)
    return "\r\n".join(lines) + ("\r" if replaced[-1].newline else "")
