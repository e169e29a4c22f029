"""Reads the structural rules: TOML files in `rules/`, one folder per family of languages, read when first asked for."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from services.review.domain import Severity

FOLDER = Path(__file__).parent / "rules"
# Each folder of rules with the languages its rules may name, by ast-grep's names for them.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "python": ("python",),
    "javascript": ("javascript", "typescript", "tsx"),
    "go": ("go",),
    "java": ("java",),
    "ruby": ("ruby",),
    "rust": ("rust",),
    "php": ("php",),
    "csharp": ("csharp",),
}
FAMILY_OF: Mapping[str, str] = {language: family for family, languages in FAMILIES.items() for language in languages}
_TEXTS = ("id", "severity", "category", "message", "why", "instead")
_LISTS = ("languages", "keywords", "bad", "good")
_MATCHER = ("rule", "constraints", "utils")
_KEYS = frozenset({*_TEXTS, *_LISTS, *_MATCHER, "production_only"})
_CATEGORIES = frozenset({"security", "bug", "performance"})
_MIN_EXAMPLES = 2
_MAX_MESSAGE = 80  # characters; a title can hold no more


@dataclass(frozen=True, slots=True)
class Rule:
    """One structural rule; `config` is what ast-grep is asked.

    Every match holds one of `keywords` as it stands. Each example is read in each of the languages.
    """

    id: str
    languages: tuple[str, ...]
    severity: Severity
    category: str
    message: str
    why: str
    instead: str
    keywords: tuple[str, ...]
    production_only: bool  # what it finds is usual in tests, examples and documentation
    config: Mapping[str, Any]
    bad: tuple[str, ...]
    good: tuple[str, ...]


def load(path: Path) -> Rule:
    """Read a rule, whose folder is its family; raises ValueError that names the file and what is wrong with it."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        _check(raw, path)
        return Rule(
            languages=tuple(raw["languages"]),
            severity=Severity(raw["severity"]),
            keywords=tuple(raw["keywords"]),
            production_only=raw.get("production_only", False),
            config={key: raw[key] for key in _MATCHER if key in raw},
            bad=tuple(raw["bad"]),
            good=tuple(raw["good"]),
            **{key: raw[key] for key in ("id", "category", "message", "why", "instead")},
        )
    except ValueError as error:
        raise ValueError(f"rule {path.name}: {error}") from error


@cache
def rules_of(family: str) -> tuple[Rule, ...]:
    """The rules of a family of languages, by id; raises ValueError for a faulty one."""
    return tuple(load(path) for path in sorted((FOLDER / family).glob("*.toml")))


def all_rules() -> tuple[Rule, ...]:
    """Every rule of ours, family by family."""
    return tuple(rule for family in FAMILIES for rule in rules_of(family))


@cache
def number_of_rules() -> int:
    """How many rules there are, without reading one."""
    return sum(1 for _ in FOLDER.glob("*/*.toml"))


def _check(raw: Mapping[str, Any], path: Path) -> None:
    """Refuse a rule that lacks something or says something unknown; raises ValueError."""
    if unknown := sorted(raw.keys() - _KEYS):
        raise ValueError(f"unknown keys {', '.join(unknown)}")
    for key in _TEXTS:
        if not isinstance(raw.get(key), str) or not raw[key].strip():
            raise ValueError(f"{key} is not a text")
    for key in _LISTS:
        if not _texts(raw.get(key)):
            raise ValueError(f"{key} is not a list of texts")
    if not isinstance(raw.get("rule"), dict) or not raw["rule"]:
        raise ValueError("rule is not a table")
    if not isinstance(raw.get("production_only", False), bool):
        raise ValueError("production_only is neither true nor false")
    if raw["id"] != path.stem:
        raise ValueError("the id is not the name of the file")
    if unknown := sorted(set(raw["languages"]) - set(FAMILIES.get(path.parent.name, ()))):
        raise ValueError(f"unknown languages {', '.join(unknown)} in {path.parent.name}/")
    if raw["category"] not in _CATEGORIES:
        raise ValueError(f"unknown category {raw['category']}")
    if len(raw["message"]) > _MAX_MESSAGE:
        raise ValueError(f"the message is longer than {_MAX_MESSAGE} characters")
    for key in ("bad", "good"):
        if len(raw[key]) < _MIN_EXAMPLES:
            raise ValueError(f"fewer than {_MIN_EXAMPLES} {key} examples")


def _texts(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and all(isinstance(text, str) and text for text in value)
