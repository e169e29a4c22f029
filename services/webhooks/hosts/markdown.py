"""Makes Markdown harmless: no mention, reference, link, image or HTML of it takes effect. Idempotent.

Hosts differ in what a text can do there; each has a `Flavour`. Fences and code spans are common to them.

What counts as code is decided so that GitHub can't see it otherwise: only fences that start a line, and only code spans
in runs of lines each of which closes what it opens. All else is treated as text, at worst showing an entity.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.webhooks.hosts.marker import strip_marks

CUT = "\n\n*The rest was cut: the text is longer than the host takes.*"

_NEW_LINE = re.compile(r"\r\n?")
# Controls, and format characters that reorder or hide text; joiners stay, as emoji are made with them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2028\u2029"
    "\u2060-\u2064\u2066-\u206f\ud800-\udfff\ufeff\U000e0000-\U000e007f]"
)
_FENCE = re.compile(r"([ \t]*)(`{3,}(?=[^`]*$)|~{3,})(.*)")
_CONTAINED_FENCE = re.compile(r"\A([ \t]*+(?:(?:[>*+-]|\d{1,9}[.)])[ \t]*+)++)(?=```|~~~)")
_RUN = re.compile(r"`+")
_OPENING = re.compile(r"\\.?|`+")
_LAYOUT = re.compile(r"</?details>|<summary>[^<>`]*</summary>|<details><summary>[^<>`]*</summary>")

# No entity may spell out what follows; those we write ourselves are known.
_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|quot|nbsp|#39|#47|#8203);)")
COMMON: tuple[tuple[re.Pattern[str], str], ...] = (
    (_ENTITY, "&amp;"),
    (re.compile(r"<(?=[A-Za-z/!?])"), "&lt;"),
    (re.compile(r"@(?=[\w-])"), "@&#8203;"),
    (re.compile(r"(?<!&)#(?=\d)"), "#&#8203;"),
    (re.compile(r"\](?=[(\[:])"), "]&#8203;"),  # links, images, definitions
    (re.compile(r":(?=//)"), ":&#8203;"),
    (re.compile(r"(?i)(www)\.(?=\S)"), r"\1&#8203;."),
    (re.compile(r"(?i)(mailto|xmpp):"), r"\1&#8203;:"),
)


@dataclass(frozen=True, slots=True)
class Flavour:
    """What a text can do on one host: patterns that act in running text, and info strings of fences that are drawn.

    `command` matches a line that would be carried out as a command, in most fences too, where hosts have such.
    """

    unsafe: Sequence[tuple[re.Pattern[str], str]]
    drawn: re.Pattern[str]
    command: re.Pattern[str] | None = None


def neutralise(text: str, longest: int, flavour: Flavour) -> str:
    """`text` made harmless, with every fence closed, and cut at a line so that it has at most `longest` characters."""
    clean = _clean(text[: 4 * longest], flavour)
    if len(clean) <= longest:
        return clean
    room = longest - len(CUT)
    while True:
        shorter = _clean(_cut(clean, room), flavour)
        if len(shorter) + len(CUT) <= longest:
            return shorter + CUT
        room -= max(len(shorter) + len(CUT) - longest, 1)


def _cut(text: str, room: int) -> str:
    """Cut after a line if that keeps at least half, and never inside an entity of ours."""
    kept = text[: max(room, 0)].removesuffix("\n")
    line = kept.rfind("\n")
    if line >= room // 2:
        return kept[:line].rstrip()
    ampersand = kept.rfind("&", -8)
    return (kept[:ampersand] if ampersand >= 0 else kept).rstrip()


def _clean(text: str, flavour: Flavour) -> str:
    text = strip_marks(_UNSEEN.sub(_shown, _NEW_LINE.sub("\n", text))).strip("\n")
    lines = text.split("\n")
    layout = _layout_is_whole(lines)
    out: list[str] = []
    chunk: list[str] = []
    fence = ""
    for line in lines:
        match = _FENCE.fullmatch(line)
        if fence:
            if _closes(line, fence):
                out.append(fence)
                fence = ""
            else:
                # Where commands are looked for before Markdown is read, only the plainest fence shelters them.
                is_command = fence != "```" and flavour.command is not None and flavour.command.match(line)
                out.append(f"    {line}" if is_command else line)
        elif match is not None:
            _flush(chunk, out, flavour)
            fence = match[2]
            # At the start of the line it is a fence in whatever list or quote it stood before.
            out.append(fence + _info(match[3], flavour))
        elif layout and _LAYOUT.fullmatch(line):
            _flush(chunk, out, flavour)
            if out and out[-1]:
                out.append("")
            out += [_defuse_layout(line, flavour), ""]
        elif line.strip():
            chunk.append(_CONTAINED_FENCE.sub(_escape_fence, line))
        else:
            _flush(chunk, out, flavour)
            if not (out and out[-1] == "" and len(out) > 1 and _LAYOUT.fullmatch(out[-2])):
                out.append(line)
    _flush(chunk, out, flavour)
    if fence:
        out.append(fence)
    return "\n".join(out).rstrip("\n")


def _shown(match: re.Match[str]) -> str:
    return f"[U+{ord(match[0]):04X}]"


def _info(info: str, flavour: Flavour) -> str:
    return "text" if flavour.drawn.fullmatch(info) else info


def _closes(line: str, fence: str) -> bool:
    bare = line.strip(" \t")
    return len(bare) >= len(fence) and not bare.strip(fence[0]) and not line.startswith(("    ", "\t"))


def _escape_fence(match: re.Match[str]) -> str:
    return match[1] + "\\"


def _layout_is_whole(lines: list[str]) -> bool:
    """Whether every fold that is opened is closed, so that none hides what stands after it."""
    depth, fence = 0, ""
    for line in lines:
        match = _FENCE.fullmatch(line)
        if fence:
            fence = "" if _closes(line, fence) else fence
        elif match is not None:
            fence = match[2]
        elif _LAYOUT.fullmatch(line):
            depth += line.startswith("<details>") - line.startswith("</details>")
            if depth < 0:
                return False
    return depth == 0 and not fence


def _defuse_layout(line: str, flavour: Flavour) -> str:
    return "".join(part if part.startswith("<") else _defuse(part, flavour) for part in re.split(r"(</?\w+>)", line))


def _flush(chunk: list[str], out: list[str], flavour: Flavour) -> None:
    """Defuse a run of lines; code spans count only if no line leaves one open."""
    parts = [_spans(line) for line in chunk]
    if any(part is None for part in parts):
        out += [_defuse(line, flavour) for line in chunk]
    else:
        out += ["".join(_part(*piece, flavour) for piece in part or ()) for part in parts]
    chunk.clear()


def _part(text: str, code: bool, flavour: Flavour) -> str:
    # A bar may end the cell of a table, and with it the span.
    return text if code and "|" not in text else _defuse(text, flavour)


def _defuse(text: str, flavour: Flavour) -> str:
    for pattern, replacement in flavour.unsafe:
        text = pattern.sub(replacement, text)
    return text


def _spans(line: str) -> list[tuple[str, bool]] | None:
    """Split a line into text and code spans as CommonMark does; None if a run of backticks has no partner."""
    pieces: list[tuple[str, bool]] = []
    start = position = 0
    while opening := _OPENING.search(line, position):
        if opening[0][0] == "\\":
            position = opening.end()
            continue
        runs = _RUN.finditer(line, opening.end())
        close = next((run for run in runs if len(run[0]) == len(opening[0])), None)
        if close is None:
            return None
        pieces += [(line[start : opening.start()], False), (line[opening.start() : close.end()], True)]
        start = position = close.end()
    return [*pieces, (line[start:], False)]
