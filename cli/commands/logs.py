"""`lintel logs`: what the processes wrote, merged by time and readable."""

import os
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click

from cli.layout import Layout, state_directory
from cli.logs import LEVELS, Line, parse, tail
from cli.supervisor.options import ROLES

PROCESSES = ("supervisor", "postgres", "migrations", "bootstrap", "application", "envoy")
SOURCES = (*PROCESSES, *ROLES)  # a role has a log of its own where it has a process of its own
POLL_SECONDS = 0.2


class Follower:
    """Reads what is appended to every log of a system, through rotations and logs that appear later."""

    def __init__(self, layout: Layout, *, at_end: bool) -> None:
        self._directory = layout.logs
        self._files: dict[str, IO[str]] = {}
        self._partial: dict[str, str] = {}
        if at_end:
            for path in self._paths():
                self._open(path).seek(0, os.SEEK_END)

    def read(self) -> list[Line]:
        """Return the whole lines that came since the last call, oldest first."""
        found: list[Line] = []
        for path in self._paths():
            for text in self._new_text(path):
                found.append(parse(path.stem, text, datetime.now(UTC)))
        return sorted(found, key=lambda line: line.time)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def _paths(self) -> list[Path]:
        return [path for name in SOURCES if (path := self._directory / f"{name}.log").exists()]

    def _open(self, path: Path) -> IO[str]:
        file = path.open(encoding="utf-8", errors="replace")
        self._files[path.stem] = file
        return file

    def _new_text(self, path: Path) -> list[str]:
        file = self._files.get(path.stem)
        rest = ""
        if file is not None and os.fstat(file.fileno()).st_ino != path.stat().st_ino:  # it was rotated
            rest = file.read()
            file.close()
            file = None
        text = self._partial.pop(path.stem, "") + rest + (file or self._open(path)).read()
        whole, newline, partial = text.rpartition("\n")
        if partial:
            self._partial[path.stem] = partial
        return whole.split("\n") if newline else []


@click.command()
@click.argument("role", required=False, type=click.Choice(SOURCES), metavar="[ROLE|PROCESS]")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes.")
@click.option(
    "--tail", "count", type=click.IntRange(0), default=100, show_default=True, help="How many lines to start with."
)
@click.option("--level", type=click.Choice(list(LEVELS)), default="debug", help="Only this level and graver ones.")
def logs(role: str | None, follow: bool, count: int, level: str) -> None:
    """Show the logs of supervisor, Postgres, application and Envoy, merged by time.

    With a process or a role of the application, only its lines.
    """
    layout = Layout(state_directory(os.environ))
    if not layout.logs.exists():
        raise click.ClickException(f"there are no logs in {layout.state}; `./lintel up --detach` starts the system")
    with closing(Follower(layout, at_end=True)) as follower:
        _print(layout, follower, role, level, count, follow=follow)


def _print(layout: Layout, follower: Follower, role: str | None, level: str, count: int, *, follow: bool) -> None:
    earlier = [line for name in SOURCES for line in _earlier(layout, name, count) if _wanted(line, role, level)]
    for line in sorted(earlier, key=lambda line: line.time)[-count:] if count else []:
        _show(line)
    while follow:
        for line in follower.read():
            if _wanted(line, role, level):
                _show(line)
        time.sleep(POLL_SECONDS)


def _earlier(layout: Layout, name: str, count: int) -> list[Line]:
    path = layout.logs / f"{name}.log"
    lines: list[Line] = []
    for text in tail(path, max(count * 10, 1000)):
        written = lines[-1].time if lines else datetime.fromtimestamp(path.stat().st_mtime, UTC)
        lines.append(parse(name, text, written))
    return lines


def _wanted(line: Line, role: str | None, level: str) -> bool:
    if role in ROLES and line.source != role and not (line.source == "application" and line.concerns(role)):
        return False
    if role in PROCESSES and line.source != role:
        return False
    return line.at_least(level)


def _show(line: Line) -> None:
    click.echo(line.pretty(colour=sys.stdout.isatty()))
