"""A diff that is given (`--diff`), and a SARIF log that is (`--sarif`): read whole, checked, matched to the tree."""

import io
import json
import sys
from pathlib import Path
from typing import BinaryIO

import click

from cli.review.change import MAX_DIFF, MAX_SARIF, MAX_TOTAL, Allowance, Change, File
from cli.review.contents import read_working_file
from cli.review.git import Repository
from services.kit.diff.errors import DiffError
from services.kit.diff.model import FileDiff, Side
from services.kit.diff.parser import parse_diff

_LINK, _SUBMODULE = "120000", "160000"
STDIN = "-"


def read_change(source: str, repository: Repository | None, reserved: int = 0) -> Change:
    """Answer the change a diff describes; contents come from the working tree where that is what the diff leads to.

    `reserved` bytes of the upload are for something else. Raises click.UsageError for what can't be read, is too
    large, or is no diff.
    """
    diff = _read(source, MAX_DIFF, "diff")
    shown = "standard input" if source == STDIN else source
    try:
        changed = list(parse_diff(io.BytesIO(diff)))
    except DiffError as error:
        raise click.UsageError(f"{shown}: {error}") from None
    name = repository.name if repository else Path.cwd().name
    allowance = Allowance(MAX_TOTAL - len(diff) - reserved)
    root = None if repository is None or repository.is_bare else repository.root
    files = tuple(File(file.path, _content(root, file, allowance)) for file in changed)
    return Change(name, f"the diff from {shown}", diff if changed else b"", files, notes=allowance.notes())


def _content(root: Path | None, file: FileDiff, allowance: Allowance) -> bytes | None:
    if root is None or file.new_path is None or file.is_binary or file.new_mode in (_LINK, _SUBMODULE):
        return None
    content = read_working_file(root, file.new_path, allowance)
    if content is not None and not _fits(content, file):
        allowance.omit(file.path, "the file in the working tree is not what the diff leads to")
        return None
    return content


def _fits(content: bytes, file: FileDiff) -> bool:
    """Tell whether every line that the diff shows of the new file stands in this content, at its number."""
    lines = content.split(b"\n")
    for hunk in file.hunks:
        for line in hunk.lines():
            number = line.number(Side.RIGHT)
            if number is not None and (number > len(lines) or lines[number - 1] != line.text):
                return False
    return True


def read_sarif(source: str) -> bytes:
    """Answer a SARIF log as it stands. Raises click.UsageError for what can't be read, is too large, or is no such."""
    content = _read(source, MAX_SARIF, "SARIF log")
    try:
        log = json.loads(content)
    except (ValueError, RecursionError):
        raise click.UsageError(f"{source} is no SARIF log: it is not JSON") from None
    if not isinstance(log, dict) or not isinstance(log.get("runs"), list) or log.get("version") != "2.1.0":
        raise click.UsageError(f"{source} is no SARIF 2.1.0 log: it must hold version 2.1.0 and a list of runs")
    return content


def _read(source: str, limit: int, what: str) -> bytes:
    try:
        if source == STDIN:
            content = _take(sys.stdin.buffer, limit)
        else:
            with Path(source).open("rb") as file:
                content = _take(file, limit)
    except OSError as error:
        raise click.UsageError(f"the {what} {source} can't be read: {error.strerror}") from None
    if len(content) > limit:
        raise click.UsageError(f"the {what} is larger than {limit >> 20} MiB")
    return content


def _take(file: BinaryIO, limit: int) -> bytes:
    return file.read(limit + 1)
