"""Writes docs/rules.md from the rule files: `python -m services.review.analyzers.rule_page > docs/rules.md`."""

import sys
from collections import Counter

from services.review.analyzers.rule_files import FAMILIES, Rule, all_rules, rules_of

_TITLES = {
    "python": "Python", "javascript": "JavaScript and TypeScript", "go": "Go", "java": "Java", "ruby": "Ruby",
    "rust": "Rust", "php": "PHP", "csharp": "C#",
}  # fmt: skip
_HEAD = """# Structural rules

Written from the files in `services/review/analyzers/rules/` by `python -m services.review.analyzers.rule_page`; a test
holds it in step. Each rule is matched on the syntax tree of a changed file, and tells of what touches an added line.
*Production* means that tests, examples and documentation are left alone.
"""


def page() -> str:
    """The whole page, in Markdown."""
    rules = all_rules()
    severities = Counter(rule.severity for rule in rules)
    counts = ", ".join(f"{severities[severity]} {severity}" for severity in sorted(severities, key=lambda s: -s.rank))
    parts = [_HEAD, f"{len(rules)} rules: {counts}.\n", *(_section(family) for family in FAMILIES)]
    return "\n".join(parts)


def _section(family: str) -> str:
    rules = rules_of(family)
    rows = "".join(map(_row, rules))
    return (
        f"## {_TITLES[family]} ({len(rules)})\n\n"
        f"| id | languages | severity | category | title | where |\n|---|---|---|---|---|---|\n{rows}"
    )


def _row(rule: Rule) -> str:
    cells = (
        f"`{rule.id}`", ", ".join(rule.languages), rule.severity, rule.category,
        rule.message.replace("|", "\\|"), "production" if rule.production_only else "everywhere",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
