"""Rows for people: columns as wide as need be; what the terminal has no room for goes on below, and is not lost."""

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import click

FORMATS = ("table", "json")
GAP = "  "
INDENT = "    "  # of the lines that a row goes on in


def show_json(value: Any) -> None:
    """Write a document to stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to stdout, on a terminal no wider than it; what others wrote has control characters as U+FFFD."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for line in lay_out(head, rows, room):
        click.echo(line)


def lay_out(head: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[str]:
    """Answer the lines of a table; columns that do not fit beside the others go below them, in every row alike."""
    cells = [list(head), *([_plain(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = []
    for row in cells:
        for group in _groups(widths, room):
            text = GAP.join(row[column].ljust(widths[column]) for column in group).rstrip()
            text = text if not group or group[0] == 0 else INDENT + text
            lines.append(text if len(text) <= room else text[: room - 1] + "…")
    return lines


def moment(time: str) -> str:
    """Answer a time of the API to the second, for people; programs ask for JSON."""
    return time[:19].replace("T", " ") + "Z" if time else "-"


def _groups(widths: Sequence[int], room: int) -> list[list[int]]:
    """Answer which columns share a line."""
    groups: list[list[int]] = [[]]
    taken = 0
    for column, width in enumerate(widths):
        if groups[-1] and taken + len(GAP) + width > room:
            groups.append([])
            taken = len(INDENT)
        taken += width + (len(GAP) if groups[-1] else 0)
        groups[-1].append(column)
    return groups


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
