"""Reads SARIF 2.1.0 logs of other tools, in the child: the part of the schema that says what is wrong and where.

What is read must have the type that the schema gives it; what is not needed is not looked at.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from services.review.analyzers.upload import SourceInvalidError

MAX_BYTES = 16 * 1024 * 1024
MAX_RUNS = 20
MAX_RESULTS = 5_000  # in all runs together; GitHub takes as many of a run
_MAX_RULES = 25_000
_LEVELS = frozenset({"none", "note", "warning", "error"})
_KINDS = frozenset({"notApplicable", "pass", "fail", "review", "open", "informational"})
_PLACEHOLDER = re.compile(r"\{(\d{1,2})\}")

_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True)
class SarifRule:
    """What a tool says of one of its rules."""

    id: str
    level: str
    score: float | None  # `security-severity`, 0 to 10
    is_security: bool
    help: str
    messages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SarifResult:
    """One problem at one place; `uri` is as written, lines count from 1."""

    rule_id: str
    level: str
    text: str
    uri: str | None
    start_line: int | None
    end_line: int | None
    rule: SarifRule | None


@dataclass(frozen=True, slots=True)
class SarifRun:
    """The results of one run of a tool that are problems; `suppressed` counts those somebody put aside."""

    tool: str
    version: str
    results: tuple[SarifResult, ...]
    suppressed: int
    over_limit: int


def read_sarif(raw: bytes) -> list[SarifRun]:
    """Read a log. Raises SourceInvalidError, which says where it is not SARIF 2.1.0 and quotes nothing of it."""
    if len(raw) > MAX_BYTES:
        raise SourceInvalidError(f"the SARIF log is larger than {MAX_BYTES // 2**20} MiB")
    try:
        log = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise SourceInvalidError("the SARIF log is not JSON in UTF-8") from None
    root = _Node(log, "")
    if root.get("version", str) != "2.1.0":
        raise SourceInvalidError("the SARIF log is not of version 2.1.0")
    runs = root.need("runs", list)
    if len(runs) > MAX_RUNS:
        raise SourceInvalidError(f"the SARIF log has more than {MAX_RUNS} runs")
    found, room = [], MAX_RESULTS
    for index, run in enumerate(runs):
        found.append(_run(_Node(run, f"runs[{index}]"), room))
        room -= len(found[-1].results)
    return found


class _Node:
    """An object of the log that knows where it stands; asking for a wrong type raises SourceInvalidError."""

    def __init__(self, value: object, at: str) -> None:
        if not isinstance(value, dict):
            raise SourceInvalidError(f"the SARIF log: {at or 'it'} is not an object")
        self._value: Mapping[str, Any] = value
        self._at = at

    def get(self, key: str, kind: type[_Kind]) -> _Kind | None:
        """The value of `key`, None where it is absent."""
        value = self._value.get(key)
        if value is None and key not in self._value:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise SourceInvalidError(f"the SARIF log: {self._path(key)} has a wrong type")
        return value

    def need(self, key: str, kind: type[_Kind]) -> _Kind:
        """The value of `key`, which the schema requires."""
        value = self.get(key, kind)
        if value is None:
            raise SourceInvalidError(f"the SARIF log: {self._path(key)} is missing")
        return value

    def node(self, key: str) -> "_Node | None":
        """The object under `key`."""
        value = self.get(key, dict)
        return None if value is None else _Node(value, self._path(key))

    def nodes(self, key: str) -> Iterator["_Node"]:
        """The objects in the list under `key`."""
        for index, value in enumerate(self.get(key, list) or ()):
            yield _Node(value, f"{self._path(key)}[{index}]")

    def word(self, key: str, allowed: frozenset[str], default: str) -> str:
        """One of the words the schema allows."""
        value = self.get(key, str)
        if value is not None and value not in allowed:
            raise SourceInvalidError(f"the SARIF log: {self._path(key)} is no word of the schema")
        return value or default

    def line(self, key: str) -> int | None:
        """A line number."""
        value = self.get(key, int)
        if value is not None and not 0 < value < 2**31:
            raise SourceInvalidError(f"the SARIF log: {self._path(key)} is no line number")
        return value

    def _path(self, key: str) -> str:
        return f"{self._at}.{key}" if self._at else key


def _run(run: _Node, room: int) -> SarifRun:
    tool = run.node("tool")
    driver = tool.node("driver") if tool else None
    if driver is None:
        raise SourceInvalidError("the SARIF log: a run has no tool.driver")
    name = _one_line(driver.need("name", str), 80) or "unnamed tool"
    version = _one_line(driver.get("semanticVersion", str) or driver.get("version", str) or "", 80)
    rules = [_rule(rule) for _, rule in zip(range(_MAX_RULES), driver.nodes("rules"), strict=False)]
    results: list[SarifResult] = []
    suppressed = over_limit = 0
    for result in run.nodes("results"):
        read = _result(result, rules)
        is_problem = result.word("kind", _KINDS, "fail") in ("fail", "open", "review")
        if not is_problem or result.get("baselineState", str) == "absent":
            continue
        if any(s.get("status", str) in (None, "accepted") for s in result.nodes("suppressions")):
            suppressed += 1
        elif len(results) >= room:
            over_limit += 1
        else:
            results.append(read)
    return SarifRun(name, version, tuple(results), suppressed, over_limit)


def _rule(rule: _Node) -> SarifRule:
    configuration, properties = rule.node("defaultConfiguration"), rule.node("properties")
    score, tags = None, []
    if properties is not None:
        score = _score(properties)
        tags = [tag for tag in properties.get("tags", list) or () if isinstance(tag, str)]
    texts = [node.get("text", str) or "" for key in ("fullDescription", "help") if (node := rule.node(key))]
    strings = rule.get("messageStrings", dict) or {}
    messages = {key: _Node(value, "messageStrings").get("text", str) or "" for key, value in strings.items()}
    return SarifRule(
        rule.need("id", str),
        configuration.word("level", _LEVELS, "warning") if configuration else "warning",
        score,
        score is not None or "security" in tags,
        next(filter(None, texts), ""),
        messages,
    )


def _score(properties: _Node) -> float | None:
    """The number that GitHub's dialect writes as a string; anything else is no number."""
    try:
        score = float(properties.get("security-severity", str) or "")
    except ValueError:
        return None
    return score if 0 <= score <= 10 else None


def _result(result: _Node, rules: Sequence[SarifRule]) -> SarifResult:
    reference = result.node("rule")
    index = result.get("ruleIndex", int)
    if index is None and reference is not None:
        index = reference.get("index", int)
    rule_id = result.get("ruleId", str) or (reference.get("id", str) if reference else None)
    rule = rules[index] if index is not None and 0 <= index < len(rules) else None
    if rule is None and rule_id is not None:
        rule = next((known for known in rules if known.id == rule_id), None)
    uri, start, end = _place(result)
    return SarifResult(
        rule_id or (rule.id if rule else ""),
        result.word("level", _LEVELS, rule.level if rule else "warning"),
        _text(result, rule),
        uri,
        start,
        end,
        rule,
    )


def _place(result: _Node) -> tuple[str | None, int | None, int | None]:
    """The first place only: the others of one result say the same thing again."""
    for location in result.nodes("locations"):
        physical = location.node("physicalLocation")
        if physical is None:
            continue
        artifact, region = physical.node("artifactLocation"), physical.node("region")
        uri = artifact.get("uri", str) if artifact else None
        start = region.line("startLine") if region else None
        end = region.line("endLine") if region else None
        return uri, start, end
    return None, None, None


def _text(result: _Node, rule: SarifRule | None) -> str:
    message = result.node("message")
    if message is None:
        raise SourceInvalidError("the SARIF log: a result has no message")
    text = message.get("text", str)
    if text is None:
        text = rule.messages.get(message.get("id", str) or "", "") if rule else ""
    arguments = [a for a in message.get("arguments", list) or () if isinstance(a, str)]

    def fill(match: re.Match[str]) -> str:
        number = int(match[1])
        return arguments[number] if number < len(arguments) else match[0]

    return _PLACEHOLDER.sub(fill, text) if arguments else text


def _one_line(text: str, most: int) -> str:
    flat = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(flat.split())[:most]
