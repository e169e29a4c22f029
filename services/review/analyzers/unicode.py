"""Finds text that does not read as it looks: direction controls, invisible characters, look-alike letters.

See CVE-2021-42574 (direction controls) and CVE-2021-42694 (look-alikes). What scripts and emoji need is left alone.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from services.review.analyzers.target import Deadline, Outcome, Target, claim, stopped
from services.review.domain import Claim, Severity

_BIDI = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
_MARKS = frozenset("\u200e\u200f\u061c")
_INVISIBLE = frozenset("\u200b\u180e\ufeff\u3164\uffa0\u115f\u1160" + "".join(map(chr, range(0x2060, 0x2065))))
_JOINERS = frozenset("\u200c\u200d")
_TAGS = re.compile("[\U000e0000-\U000e007f]+")
_FLAG_TAGS = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,8}\U000e007f")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}")
_COMBINING = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff]{5,}")
_WORD = re.compile(r"[^\W\d]\w*")
_MARKUP = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u061c"))
_PROSE = frozenset({"md", "markdown", "mdx", "rst", "adoc"})
# Cyrillic and Greek letters that most typefaces draw exactly like a Latin one.
_LOOKALIKES = frozenset("асеоурхіјѕһԁԛԝАВЕКМНОРСТУХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧο")


class Oddity(NamedTuple):
    """Something hidden in a line: the rule, its severity and texts."""

    rule: str
    severity: Severity
    title: str
    body: str


class HiddenUnicode:
    """The analyzer; see the module."""

    name = "unicode"

    def version(self) -> str:
        """The version of the Unicode database that the names come from."""
        return unicodedata.unidata_version

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        """Claim each added line that hides something, once per rule."""
        claims: list[Claim] = []
        for done, target in enumerate(targets):
            for position, line in enumerate(target.added):
                if position % 512 == 0 and deadline.passed:
                    return stopped(claims, done, len(targets))
                if line.text.isascii():
                    continue
                # In marked-up text a zero width space is how one keeps a colon or an @ from being a link.
                # A lone direction mark reorders nothing there.
                text = line.text.translate(_MARKUP) if target.extension in _PROSE else line.text
                for odd in find(text, first_line=line.number == 1):
                    if odd.rule == "invisible-character" and target.is_supporting:
                        continue  # tests of what copes with them have them
                    claims.append(
                        claim(self.name, odd.rule, target, line, odd.severity, "security", odd.title, odd.body)
                    )
        return Outcome(tuple(claims))


def find(text: str, *, first_line: bool = False) -> Iterator[Oddity]:
    """Yield what is hidden in one line; a byte order mark at the start of the first line is none."""
    if first_line:
        text = text.removeprefix("\ufeff")
    if found := [c for c in text if c in _BIDI] or ([c for c in text if c in _MARKS] if not _has_rtl(text) else []):
        yield _oddity(
            "bidi-control",
            Severity.HIGH,
            f"Text direction is changed by {_name(found[0])}",
            text,
            "Editors and review pages then show the code in another order than the compiler reads it. "
            "Remove the character, or write it as an escape if the string needs it.",
        )
    if _TAGS.search(_FLAG_TAGS.sub("", text)):
        yield _oddity(
            "tag-characters",
            Severity.HIGH,
            "Invisible tag characters hide text",
            text,
            "They spell out text that no one sees but programs and language models read. Remove them.",
        )
    if _SELECTORS.search(text):
        yield _oddity(
            "variation-selectors",
            Severity.HIGH,
            "A run of variation selectors can hide data",
            text,
            "One may follow a character; a run of them shows nothing and can carry any bytes. Remove them.",
        )
    if found := [text[i] for i in range(len(text)) if _is_hidden(text, i)]:
        yield _oddity(
            "invisible-character",
            Severity.MEDIUM,
            f"Invisible character {_name(found[0])}",
            text,
            "Names and strings that look equal are then different, and searches miss them. "
            "Remove it, or write it as an escape if the string needs it.",
        )
    if _COMBINING.search(text):
        yield _oddity(
            "combining-run",
            Severity.LOW,
            "A pile of combining marks covers other text",
            text,
            "No language needs this many on one letter; they overprint the lines around. Remove them.",
        )
    if word := next((m[0] for m in _WORD.finditer(text) if _mixes_scripts(m[0])), None):
        yield _oddity(
            "mixed-script-name",
            Severity.HIGH,
            "A name mixes Latin letters with look-alikes",
            text,
            f"It reads like another name but is not the same: {visible(word)}. "
            "Type it again with letters of one alphabet.",
        )


def visible(text: str, limit: int = 120) -> str:
    """`text` with everything outside printable ASCII as U+XXXX in brackets, cut to about `limit` characters."""
    out: list[str] = []
    size = 0
    for char in text:
        piece = char if " " <= char <= "~" and char != "`" else f"[U+{ord(char):04X}]"
        size += len(piece)
        if size > limit:
            out.append("…")
            break
        out.append(piece)
    return "".join(out)


def _oddity(rule: str, severity: Severity, title: str, text: str, advice: str) -> Oddity:
    position = next(i for i, char in enumerate(text) if not char.isascii())
    return Oddity(rule, severity, title, f"{advice} Made visible: `{visible(text[max(0, position - 40) :].strip())}`")


def _name(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, '').lower()}".rstrip()


def _has_rtl(text: str) -> bool:
    return any(unicodedata.bidirectional(char) in ("R", "AL") and char not in _MARKS for char in text)


def _is_hidden(text: str, index: int) -> bool:
    char = text[index]
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    if char == "\u200b":
        # Thai, Lao, Burmese and Khmer put no blanks between words; this marks where a line may break.
        return not (_breaks_without_blanks(before) or _breaks_without_blanks(after))
    if char in _INVISIBLE:
        return True
    if char not in _JOINERS:
        return False
    if char == "\u200d" and _is_emoji(before):
        return False
    # Arabic, Indic and south-east Asian scripts shape their letters with both joiners.
    return not _is_shaped(before)


def _breaks_without_blanks(char: str) -> bool:
    return bool(char) and (
        0x0E00 <= ord(char) <= 0x0EFF or 0x1000 <= ord(char) <= 0x109F or 0x1780 <= ord(char) <= 0x17FF
    )


def _is_emoji(char: str) -> bool:
    return bool(char) and (unicodedata.category(char) in ("So", "Sk") or char in "\ufe0f♀♂⚕⚖✈❤➡⬛")


def _is_shaped(char: str) -> bool:
    return bool(char) and 0x0600 <= ord(char) <= 0x1FFF and unicodedata.category(char)[0] in "LM"


def _mixes_scripts(word: str) -> bool:
    """Whether all foreign letters of the word are look-alikes of the Latin ones among which they stand."""
    if word.isascii():
        return False
    foreign = [char for char in word if not char.isascii() and char.isalpha()]
    latin = [char for char in word if char.isascii() and char.isalpha()]
    return bool(latin and foreign) and all(char in _LOOKALIKES for char in foreign)
