"""`docs/from-kodus.md` says what is there and what is not yet: held against the command line and the API's document."""

import json
import re
from pathlib import Path

import click
import pytest

from cli.main import lintel

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "from-kodus.md").read_text(encoding="utf-8")
PATHS = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]
COMMANDS = re.findall(r"(?m)^\|[^|]*\| `\./lintel ([a-z-]+)` \| (there|not yet)\b", PAGE)
ROUTES = re.findall(r"(?m)^\|[^|]*\| `([A-Z]+) (/\S*)` \| (there|not yet)\b", PAGE)


def test_the_tables_are_read_whole() -> None:
    rows = re.findall(r"(?m)^\|.*\| (?:there|not yet)\b.*\|$", PAGE)
    assert len(COMMANDS) + len(ROUTES) == len(rows) > 35


@pytest.mark.parametrize(("command", "state"), COMMANDS)
def test_a_command_is_there_or_not_as_the_page_says(command: str, state: str) -> None:
    assert (command in lintel.list_commands(click.Context(lintel))) is (state == "there")


@pytest.mark.parametrize(("verb", "path", "state"), ROUTES)
def test_a_route_is_there_or_not_as_the_page_says(verb: str, path: str, state: str) -> None:
    assert (verb.lower() in PATHS.get(path, {})) is (state == "there")
