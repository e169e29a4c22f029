"""Our own structural rules, matched on syntax trees by ast-grep. A rule is a TOML file in `rules/`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from services.review.analyzers.rule_files import FAMILY_OF, Rule, number_of_rules, rules_of
from services.review.analyzers.target import AddedLine, Deadline, Outcome, Target, claim, installed_version, stopped
from services.review.domain import Claim, Fate

if TYPE_CHECKING:
    from ast_grep_py import Config, SgNode

# ast-grep panics on a language it does not know, and a panic is no Exception: only these are ever named to it.
LANGUAGES: Mapping[str, tuple[str, ...]] = {
    "python": ("py", "pyi"),
    "javascript": ("js", "jsx", "mjs", "cjs"),
    "typescript": ("ts", "mts", "cts"),
    "tsx": ("tsx",),
    "go": ("go",),
    "java": ("java",),
    "ruby": ("rb", "rake"),
    "rust": ("rs",),
    "php": ("php",),
    "csharp": ("cs",),
}
_BY_EXTENSION = {extension: language for language, extensions in LANGUAGES.items() for extension in extensions}
_SUPPORTING = frozenset(
    {
        "benchmark",
        "benchmarks",
        "bench",
        "benches",
        "perf",
        "demo",
        "demos",
        "sample",
        "samples",
        "playground",
        "e2e",
        "mocks",
    }
)
_MAX_BYTES = 1024 * 1024  # a rule that looks at what surrounds a match takes time that grows with the square
_MAX_SPAN = 30  # a match over more lines is about its first line


def parse(language: str, source: str) -> "SgNode":
    """The syntax tree of `source`; raises ValueError for a language that is not one of LANGUAGES."""
    # The parser library is 45 MB: a child that has no file for it does not load it.
    from ast_grep_py import SgRoot  # noqa: PLC0415

    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language}")
    return SgRoot(source, language).root()


def match(config: Mapping[str, Any], tree: "SgNode") -> list[tuple[int, int]]:
    """First and last line, from 1, of each match in a tree."""
    ranges = [node.range() for node in tree.find_all(cast("Config", dict(config)))]
    return sorted({(span.start.line + 1, span.end.line + 1) for span in ranges})


class Structural:
    """The analyzer; see the module."""

    name = "structural"

    def version(self) -> str:
        """The version of the matcher and how many rules it is given."""
        installed = installed_version("ast_grep_py")
        return f"{installed}, {number_of_rules()} rules" if installed else ""

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        """Claim each match that touches an added line, at the first such line."""
        if not self.version():
            return Outcome((), Fate.SKIPPED, "ast-grep-py is not installed")
        ours = [target for target in targets if target.extension in _BY_EXTENSION]
        claims: list[Claim] = []
        unread = large = 0
        for done, target in enumerate(ours):
            if deadline.passed:
                return stopped(claims, done, len(ours))
            if target.head is None:
                unread += 1
                continue
            if len(target.head) > _MAX_BYTES:
                large += 1
                continue
            claims += _read(target, target.head.decode("utf-8", "replace"))
        reasons = [f"{unread} files had no whole content to read"] if unread else []
        reasons += [f"{large} files are larger than {_MAX_BYTES // 1024} KiB"] if large else []
        if reasons:
            return Outcome(tuple(claims), Fate.PARTIAL, "; ".join(reasons))
        return Outcome(tuple(claims))


def _read(target: Target, source: str) -> list[Claim]:
    language = _BY_EXTENSION[target.extension]
    added = {line.number: line for line in target.added}
    asked = _worth_asking(language, target, _near(source, added))
    if not asked:
        return []
    tree = parse(language, source)
    claims: dict[tuple[str, int], Claim] = {}
    for rule in asked:
        for first, last in match(rule.config, tree):
            line = _first_added(added, first, last)
            if line is not None:
                claims[rule.id, line.number] = claim(
                    "structural", rule.id, target, line, rule.severity, rule.category, rule.message,
                    f"{rule.why} {rule.instead}",
                )  # fmt: skip
    return list(claims.values())


def _worth_asking(language: str, target: Target, near: str) -> list[Rule]:
    """The rules one of whose keywords stands near a change: walking the tree costs far more than looking for a word."""
    return [
        rule
        for rule in rules_of(FAMILY_OF[language])
        if language in rule.languages
        and not (rule.production_only and _is_supporting(target))
        and any(keyword in near for keyword in rule.keywords)
    ]


def _is_supporting(target: Target) -> bool:
    """Whether the file is one of tests, benchmarks or examples, also by the habits of Java and C#: FooTest."""
    *folders, name = target.path.replace("\\", "/").split("/")
    return (
        target.is_supporting
        or name.partition(".")[0].endswith(("Test", "Tests", "TestCase", "Spec", "IT"))
        or any(folder.endswith((".Tests", ".Test", "Tests")) or folder.lower() in _SUPPORTING for folder in folders)
    )


def _near(source: str, added: Mapping[int, AddedLine]) -> str:
    """The lines that a match about an added line can hold, in their order."""
    lines = source.split("\n")
    if len(added) >= len(lines):
        return source
    wanted = {near for number in added for near in range(number - _MAX_SPAN, number + _MAX_SPAN + 1)}
    return "\n".join(line for number, line in enumerate(lines, 1) if number in wanted)


def _first_added(added: Mapping[int, AddedLine], first: int, last: int) -> AddedLine | None:
    if last - first > _MAX_SPAN:
        last = first
    return next((added[number] for number in range(first, last + 1) if number in added), None)
