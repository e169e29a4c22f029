"""`lintel audit`: take the audit log elsewhere, and find out whether it is whole."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, TextIO

import click

from cli.connect import connected
from client.audit import AuditClient, Chain, as_json, follow

_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})\Z")


@click.group()
def audit() -> None:
    """Who changed what in the organisation: kept so that nobody can change it unnoticed.

    \b
    lintel audit export --output audit.jsonl   one JSON object per line, oldest first
    lintel audit verify                        follow the chain of the log that is there
    lintel audit verify audit.jsonl            the same of an export, with nothing but the file

    The Lintel of LINTEL_URL and LINTEL_TOKEN is asked, else the one that runs on this machine.
    """


@audit.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write there instead of to stdout.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only entries after this number, to go on an export.")
def export(output: Path | None, after: int) -> None:
    """Write every entry as JSON, one per line, oldest first."""
    count = 0
    with ExitStack() as stack:
        out = stack.enter_context(_opened(output))
        for entry in stack.enter_context(connected(AuditClient)).export(after):
            out.write(json.dumps(as_json(entry), separators=(",", ":")) + "\n")
            count += 1
    click.echo(f"{count} entries" + (f" in {output}" if output else ""), err=True)


@audit.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--head",
    metavar="NUMBER:SHA256",
    help="An entry that must be there, as `verify` printed it before: what is cut off the end leaves no other trace.",
)
def verify(file: Path | None, head: str | None) -> None:
    """Follow the chain of digests; ends with status 1 where it is broken.

    The digests are computed here, from the entries themselves. Keep the last line's NUMBER:SHA256 somewhere else, and
    give it as --head next time.
    """
    known = _head(head)
    with ExitStack() as stack:
        if file is None:
            client = stack.enter_context(connected(AuditClient))
            chain = follow((as_json(entry) for entry in client.export()), known)
        else:
            chain = follow(_lines(stack.enter_context(click.open_file(str(file), encoding="utf-8"))), known)
    if chain.problem:
        raise click.ClickException(f"the audit log is broken: {chain.problem}")
    _tell(chain)


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
    else:
        with output.open("w", encoding="utf-8") as file:
            yield file


def _tell(chain: Chain) -> None:
    if not chain.last:
        click.echo("There are no entries.", err=True)
        return
    since = "" if chain.first == 1 else f", those before entry {chain.first} not looked at"
    click.echo(f"The audit log is whole: {chain.last - chain.first + 1} entries{since}.", err=True)
    click.echo(f"{chain.last}:{chain.last_sha256}")


def _head(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    found = _HEAD.match(text)
    if found is None:
        raise click.BadParameter("must be NUMBER:SHA256, as `lintel audit verify` prints it", param_hint="--head")
    return int(found[1]), found[2]


def _lines(file: IO[Any]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, start=1):
        try:
            entry = json.loads(line)
        except ValueError:
            raise click.ClickException(f"line {number} is no JSON; `lintel audit export` writes some") from None
        yield entry if isinstance(entry, dict) else {}
