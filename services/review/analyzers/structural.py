"""Our own structural rules, matched on syntax trees by ast-grep. A rule is a TOML file in `rules/`."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from services.review.analyzers.target import AddedLine, Deadline, Outcome, Target, claim, installed_version, stopped
from services.review.domain import Claim, Fate, Severity

# ast-grep panics on a language it does not know, and a panic is no Exception: only these are ever named to it.
LANGUAGES: Mapping[str, tuple[str, ...]] = {
    "python": ("py", "pyi"),
    "javascript": ("js", "jsx", "mjs", "cjs"),
    "typescript": ("ts", "mts", "cts"),
    "tsx": ("tsx",),
    "go": ("go",),
    "java": ("java",),
}
_BY_EXTENSION = {extension: language for language, extensions in LANGUAGES.items() for extension in extensions}
_MAX_SPAN = 30  # a match over more lines is about none of them in particular
_KEYS = frozenset(
    {"id", "languages", "severity", "category", "message", "why", "instead", "rule", "constraints", "utils"}
)


@dataclass(frozen=True, slots=True)
class Example:
    """A piece of code that a rule must find, or must leave alone."""

    language: str
    code: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One structural rule; `config` is what ast-grep is asked."""

    id: str
    languages: tuple[str, ...]
    severity: Severity
    category: str
    message: str
    why: str
    instead: str
    config: Mapping[str, Any]
    bad: tuple[Example, ...]
    good: tuple[Example, ...]


def load(path: Path) -> Rule:
    """Read a rule; raises ValueError that names the file and what is wrong with it."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        bad, good = raw.pop("bad"), raw.pop("good")
        if unknown := sorted(raw.keys() - _KEYS):
            raise ValueError(f"unknown keys {', '.join(unknown)}")
        if raw["id"] != path.stem:
            raise ValueError("the id is not the name of the file")
        languages = tuple(raw["languages"])
        if unknown := sorted({*languages, *(e["language"] for e in bad + good)} - LANGUAGES.keys()):
            raise ValueError(f"unknown languages {', '.join(unknown)}")
        config: dict[str, Any] = {key: raw[key] for key in ("rule", "constraints", "utils") if key in raw}
        return Rule(
            raw["id"], languages, Severity(raw["severity"]), raw["category"], raw["message"],
            raw["why"], raw["instead"], config, tuple(Example(**e) for e in bad), tuple(Example(**e) for e in good),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"rule {path.name}: {error}") from error


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule of ours, by id."""
    return tuple(load(path) for path in sorted((Path(__file__).parent / "rules").glob("*.toml")))


def match(config: Mapping[str, Any], language: str, source: str) -> list[tuple[int, int]]:
    """First and last line, from 1, of each match in `source`; `language` must be one of LANGUAGES."""
    # The parser library is 45 MB: a child that has no file for it does not load it.
    from ast_grep_py import Config, SgRoot  # noqa: PLC0415

    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language}")
    nodes = SgRoot(source, language).root().find_all(cast("Config", dict(config)))
    spans = {(node.range().start.line + 1, node.range().end.line + 1) for node in nodes}
    return sorted(spans)


class Structural:
    """The analyzer; see the module."""

    name = "structural"

    def version(self) -> str:
        """The version of the matcher and how many rules it is given."""
        installed = installed_version("ast_grep_py")
        return f"{installed}, {len(rules())} rules" if installed else ""

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        """Claim each match that touches an added line, at the first such line."""
        if not self.version():
            return Outcome((), Fate.SKIPPED, "ast-grep-py is not installed")
        ours = [target for target in targets if target.extension in _BY_EXTENSION]
        claims: list[Claim] = []
        unread = 0
        for done, target in enumerate(ours):
            if deadline.passed:
                return stopped(claims, done, len(ours))
            if target.head is None:
                unread += 1
                continue
            claims += _read(target, target.head.decode("utf-8", "replace"))
        if unread:
            return Outcome(tuple(claims), Fate.PARTIAL, f"{unread} files had no whole content to read")
        return Outcome(tuple(claims))


def _read(target: Target, source: str) -> list[Claim]:
    language = _BY_EXTENSION[target.extension]
    added = {line.number: line for line in target.added}
    claims: dict[tuple[str, int], Claim] = {}
    for rule in rules():
        if language not in rule.languages:
            continue
        for first, last in match(rule.config, language, source):
            line = _first_added(added, first, last)
            if line is not None:
                claims[rule.id, line.number] = claim(
                    "structural", rule.id, target, line, rule.severity, rule.category, rule.message,
                    f"{rule.why} {rule.instead}",
                )  # fmt: skip
    return list(claims.values())


def _first_added(added: Mapping[int, AddedLine], first: int, last: int) -> AddedLine | None:
    if last - first > _MAX_SPAN:
        last = first
    return next((added[number] for number in range(first, last + 1) if number in added), None)
