"""Words of others made safe to show, and a fix as a diff."""

import difflib
import re
import unicodedata

from lintel.review.v1 import review_pb2 as pb

LEVELS = ("low", "medium", "high", "critical")


def visible(text: str, keep: str = "") -> str:
    """Answer `text` with everything that steers a terminal or hides from the reader written out; `keep` stays."""
    return "".join(character if character in keep else _visible(character) for character in text)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category not in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"<U+{code:04X}>"


def place(finding: pb.Finding) -> str:
    """Answer `path:line`, or `path:first-last`."""
    lines = str(finding.start_line)
    if finding.end_line != finding.start_line:
        lines += f"-{finding.end_line}"
    return f"{finding.path}:{lines}"


def rule(finding: pb.Finding) -> str:
    """Answer who claims it: the tool and its rule, or the model."""
    source = finding.source
    return "/".join(part for part in (source.name, source.rule_id or source.model) if part)


def fix(finding: pb.Finding) -> list[str]:
    """Answer the suggestion as the lines of a diff: ` `, `-` or `+`, then the text; [] where there is none."""
    if not finding.HasField("suggestion"):
        return []
    old, new = finding.quote.split("\n"), finding.suggestion.replacement.removesuffix("\n").split("\n")
    if not finding.suggestion.replacement:
        new = []
    lines = []
    for line in difflib.ndiff(old, new):
        if line[0] in " -+":
            lines.append(line[0] + line[2:])
    return lines


def longest_run(text: str, character: str) -> int:
    """Answer the length of the longest run of a character."""
    return max((len(run) for run in re.findall(re.escape(character) + "+", text)), default=0)


def count(number: int, noun: str) -> str:
    """Write a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
