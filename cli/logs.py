"""Reading the log lines of our processes, of Postgres and of Envoy as one stream."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
ALIASES = {"log": "info", "notice": "info", "detail": "info", "hint": "info", "statement": "info", "fatal": "critical"}
ALIASES |= {"panic": "critical", "warn": "warning", "trace": "debug", "exception": "error"}
LONGEST_VALUE = 300  # characters of one field that people are shown; the file has them all
COLOURS = {"debug": "bright_black", "warning": "yellow", "error": "red", "critical": "red"}
POSTGRES = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC \[\d+\] ([A-Z]+):\s+(.*)")
ENVOY = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})\]\[\d+\]\[(\w+)\]\[\w+\] (.*)")


@dataclass(frozen=True)
class Line:
    """One log line: `source` is the process that wrote it, `level` one of LEVELS, `time` UTC."""

    source: str
    time: datetime
    level: str
    text: str
    fields: dict[str, object] = field(default_factory=dict)

    def at_least(self, level: str) -> bool:
        """Tell whether the line is of this level or graver."""
        return LEVELS[self.level] >= LEVELS[level]

    def concerns(self, role: str) -> bool:
        """Tell whether a role of the application wrote it, by its `role` field or the package of its logger."""
        logger = str(self.fields.get("logger", ""))
        package = role.removesuffix("_worker")
        return self.fields.get("role") == role or logger.split(".")[:2] in ([package], ["services", package])

    def pretty(self, *, colour: bool) -> str:
        """Write it for people: local time, level, process, event, fields."""
        clock = self.time.astimezone().strftime("%H:%M:%S.%f")[:-3]
        level = f"{self.level:8}"
        shown = " ".join(f"{name}={_plain(value)}" for name, value in self.fields.items() if name != "logger")
        if colour:
            level = click.style(level, fg=COLOURS.get(self.level))
            shown = click.style(shown, dim=True) if shown else ""
        return f"{clock} {level} {self.source:11} {self.text}" + (f"  {shown}" if shown else "")


def parse(source: str, text: str, before: datetime) -> Line:
    """Read one line of any of the formats; what has no time of its own happened `before`."""
    if text.startswith("{"):
        try:
            content = json.loads(text)
        except ValueError:
            content = None
        if isinstance(content, dict):
            return _from_json(source, content, before)
    for pattern in (POSTGRES, ENVOY):
        if found := pattern.fullmatch(text):
            return Line(source, _time(found[1], before), _level(found[2]), found[3])
    return Line(source, before, "info", text)


def _from_json(source: str, content: dict[str, object], before: datetime) -> Line:
    """Read a structured line: ours has an event and a level, Envoy's access log a method, a path and a status."""
    known = {"event", "level", "timestamp"}
    text = content.get("event")
    if text is None:
        known = {"method", "path", "status", "time"}
        text = " ".join(str(content.get(name, "-")) for name in ("method", "path", "status"))
    moment = _time(content.get("timestamp", content.get("time")), before)
    fields = {name: value for name, value in content.items() if name not in known and value is not None}
    return Line(source, moment, _level(str(content.get("level", "info"))), str(text), fields)


def tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a log, going on in the file it was rotated from when that is needed."""
    found: list[str] = []
    for file in (path, path.with_name(f"{path.name}.1")):
        missing = lines - len(found)
        if missing <= 0 or not file.exists():
            break
        with file.open(encoding="utf-8", errors="replace") as content:
            found = content.read().splitlines()[-missing:] + found
    return found


def _level(name: str) -> str:
    lowered = name.lower()
    known = ALIASES.get(lowered, lowered)
    return known if known in LEVELS else "info"


def _time(value: object, before: datetime) -> datetime:
    try:
        read = datetime.fromisoformat(str(value))
    except ValueError:
        return before
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _plain(value: object) -> str:
    plain = isinstance(value, str) and value and " " not in value
    text = str(value) if plain else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text)} characters)"
