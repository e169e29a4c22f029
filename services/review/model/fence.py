"""Makes untrusted text fit for a prompt: nothing hidden in it, no control token, and a border that it cannot know."""

import re
import secrets
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co"})
_FILLERS = frozenset("\u3164\uffa0\u115f\u1160\u034f")
# Some servers read the control tokens of their model out of plain text: "<|endoftext|>", and DeepSeek's wide bar.
_CONTROL = re.compile(r"<(?=[|｜])")
_ESCAPED = re.compile(r"⟨U\+([0-9A-F]{4,6})⟩")


def visible(line: str) -> str:
    """Answer one line with each hidden character and each beginning of a control token as ⟨U+XXXX⟩."""
    if "<" in line:
        line = _CONTROL.sub(_escape("<"), line)
    if line.isascii() and line.replace("\t", "").isprintable():
        return line
    return "".join(_escape(c) if _is_hidden(c) else c for c in line)


def original(text: str) -> str:
    """Answer what `visible` was given, for text that a model quotes."""
    return _ESCAPED.sub(_unescape, text)


def has_escapes(text: str) -> bool:
    """Whether a text speaks of escaped characters."""
    return _ESCAPED.search(text) is not None


def boundary() -> str:
    """Answer a border for one request: 96 random bits."""
    return f"DATA-{secrets.token_hex(12)}"


def fenced(text: str, border: str) -> str:
    """Put the text between two lines that begin with the border, which is removed from inside it."""
    return f"{border} BEGIN\n{text.replace(border, '')}\n{border} END"


def _is_hidden(character: str) -> bool:
    if character == "\t":
        return False
    number = ord(character)
    selector = 0xFE00 <= number <= 0xFE0F or 0xE0100 <= number <= 0xE01EF
    return selector or character in _FILLERS or unicodedata.category(character) in _HIDDEN


def _escape(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def _unescape(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else match[0]
