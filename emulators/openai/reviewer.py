"""A small deterministic reviewer: it finds added lines that contain a needle, and its verifier agrees."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

_FILE = re.compile(r'^### file ("(?:[^"\\]|\\.)*")')
_CLAIM = re.compile(r"^### claim (\d+) ", re.MULTILINE)


class Asked(Protocol):
    """What a request for an answer has, whatever its wire."""

    @property
    def instructions(self) -> str:
        """What the model is told to do."""

    @property
    def user(self) -> str:
        """What it is told to look at."""


def needle_reviewer(needle: str, *, severity: str = "medium") -> Callable[[Asked], dict[str, Any]]:
    """Answer a script for the emulator: each added line with `needle` is a finding, every claim is kept."""

    def answer(chat: Asked) -> dict[str, Any]:
        if '"verdicts"' in chat.instructions or _CLAIM.search(chat.user):
            indices = sorted({int(number) for number in _CLAIM.findall(chat.user)})
            return {"verdicts": [{"index": i, "keep": True, "reason": "the line is there"} for i in indices]}
        return {"findings": [_finding(path, line, needle, severity) for path, line in _added(chat.user, needle)]}

    return answer


def _added(text: str, needle: str) -> Iterator[tuple[str, str]]:
    path = ""
    for line in text.split("\n"):
        if found := _FILE.match(line):
            path = json.loads(found[1])
        elif line.startswith("+") and needle in line:
            yield path, line[1:]


def _finding(path: str, line: str, needle: str, severity: str) -> dict[str, Any]:
    return {
        "path": path,
        "side": "RIGHT",
        "quote": line,
        "severity": severity,
        "category": "bug",
        "title": f"The line contains {needle}",
        "body": f"The reviewer of the emulator was told to look for `{needle}`, and this line has it.",
        "replacement": None,
    }
