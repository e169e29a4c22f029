"""Where the findings go, and what the command's exit status says of them."""

import json
import os
import sys
import tempfile
from pathlib import Path

import click
from lintel.review.v1.review_pb2 import FINDING_STATE_DISMISSED, FINDING_STATE_FIXED

from cli.layout import ROOT
from cli.review.errors import NOT_COMPLETED, ConfigurationError
from cli.review.formats import markdown, sarif, terminal
from cli.review.formats.text import LEVELS
from cli.review.run import Outcome
from client.shape import as_json, severity

FORMATS = ("terminal", "json", "markdown", "sarif")
NEVER = "never"
FOUND = 1


def render(outcome: Outcome, form: str, *, colour: bool = False, receipt: bool = False) -> str:
    """Answer the findings in one of the FORMATS."""
    if form == "terminal":
        return terminal.render(outcome, colour=colour, receipt=receipt)
    if form == "markdown":
        return markdown.render(outcome)
    value = as_json(outcome.answer) if form == "json" else sarif.render(outcome, version())
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def exit_status(outcome: Outcome, fail_on: str) -> int:
    """Answer 0, 1 or 3 (contract section 2); what was not completed weighs more than what was found."""
    if outcome.failures:
        return NOT_COMPLETED
    if fail_on == NEVER:
        return 0
    at_least = LEVELS[LEVELS.index(fail_on) :]
    over = (FINDING_STATE_FIXED, FINDING_STATE_DISMISSED)
    is_found = any(severity(finding) in at_least and finding.state not in over for finding in outcome.answer.findings)
    return FOUND if is_found else 0


def wants_colour(output: Path | None) -> bool:
    """Tell whether colour is welcome: a terminal, and no NO_COLOR (no-color.org: set and not empty)."""
    return output is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def require_place(output: Path | None) -> None:
    """Raise click.UsageError when the file can't be written, before anything costs time."""
    if output is not None and (output.is_dir() or not os.access(output.parent, os.W_OK)):
        raise click.UsageError(f"--output {output} can't be written: no such directory, or not yours")


def deliver(text: str, output: Path | None) -> None:
    """Print the text as UTF-8, or put it in a file, whole or not at all."""
    content = text.encode("utf-8", errors="replace")
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    if output.exists() and not output.is_file():  # a pipe or /dev/stderr: nothing to replace
        output.write_bytes(content)
        return
    try:
        _replace(output, content)
    except OSError as error:
        raise ConfigurationError(f"--output {output} can't be written: {error.strerror}") from None


def _replace(output: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    staging = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        staging.chmod(output.stat().st_mode & 0o777 if output.exists() else 0o666 & ~mask)
        staging.replace(output.resolve())
    except BaseException:
        staging.unlink(missing_ok=True)
        raise


def version() -> str:
    """Answer Lintel's version, as `pyproject.toml` states it."""
    for line in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("version = "):
            return line.split('"')[1]
    raise RuntimeError("pyproject.toml states no version")
