"""What a check of `lintel doctor` came to, and how people and programs read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click

State = Literal["ok", "warn", "fail"]
_COLOURS: dict[str, str] = {"ok": "green", "warn": "yellow", "fail": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` says what to do and is empty where all is well."""

    name: str
    state: State
    detail: str
    mend: str = ""


def from_json(value: dict[str, Any]) -> Finding:
    """Read a finding that the services' own doctor wrote."""
    state = value.get("state")
    known: State = state if state in ("ok", "warn", "fail") else "fail"
    return Finding(str(value.get("name")), known, str(value.get("detail")), str(value.get("mend", "")))


def table(found: Sequence[Finding]) -> str:
    """Answer one line for each finding, and what to do below it."""
    width = max(len(each.name) for each in found)
    lines = []
    for each in found:
        mark = click.style(f"{each.state:<4}", fg=_COLOURS[each.state])
        lines.append(f"{mark}  {each.name:<{width}}  {each.detail}")
        if each.mend:
            lines.append(f"{'':<{width + 6}}  → {each.mend}")
    return "\n".join(lines)
