"""Rows for people: columns as wide as they need to be, the last one cut to the width of the terminal."""

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import click

FORMATS = ("table", "json")
GAP = "  "


def show_json(value: Any) -> None:
    """Write a document to stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to stdout; control characters of what others wrote are shown as U+FFFD."""
    lines = [list(head), *([_plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for line in lines:
        text = GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        click.echo(text if len(text) <= room else text[: room - 1] + "…")


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
