"""Tells of what a change takes away: tests, assertions, checks of who may do what; and of tests it switches off.

Only the diff is read. Whatever the change brings back anywhere is a move, and what goes together with the code it was
about is a removal of that code: neither is told.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from services.kit.diff.model import LineKind, Side
from services.review.analyzers.removals_survey import NAME, Row, Whole, rows_of, survey
from services.review.analyzers.removals_words import (
    CHECKS,
    CODE,
    DEFINITION,
    FOCUS,
    LANGUAGES,
    REFUSAL,
    TEST_PATH,
    Language,
)
from services.review.analyzers.target import AddedLine, Deadline, Outcome, Target, claim, stopped
from services.review.domain import Claim, Severity

_COMMENT = re.compile(r"^\s*(?:#(?!\[)|//|\*|/\*|--|<!--)")
_IMPORT = re.compile(
    r"^\s*(?:import\b|from\s+\S+\s+import\b|use\s|using\s|require(?:_relative)?\s*\(?['\"]|.*=\s*require\()"
)
_TABLE = re.compile(r"parametri[sz]e|\.each\b|ParameterizedTest|[dD]ataProvider|InlineData|TestCase\(|#\[case|rstest")
_MATCHES = re.compile(r"toMatch(?:Inline)?Snapshot")
_SNAPSHOT = re.compile(r"snapshot", re.I)
_CHECK_ADVICE = (
    "Nothing in the change puts it, or one like it, in another place. If others do the checking now, say where; "
    "otherwise put it back."
)


class Removals:
    """The analyzer; see the module."""

    name = "removals"

    def version(self) -> str:
        """Our own, raised when the detection changes."""
        return "2"

    def run(self, targets: Sequence[Target], folder: Path, deadline: Deadline) -> Outcome:
        """Claim what is taken away, at the old line, and tests that are switched off, at the new one."""
        whole = survey(targets)
        claims: list[Claim] = []
        for done, target in enumerate(targets):
            if deadline.passed:
                return stopped(claims, done, len(targets))
            language = LANGUAGES.get(target.extension)
            hunks = [list(rows_of(hunk)) for hunk in target.hunks]
            if language and TEST_PATH.search(target.path):
                # Where only tests are changed, what becomes of them is the change.
                if whole.has_code and not whole.is_large and not _SNAPSHOT.search(target.path):
                    claims += _tests(target, hunks, language, whole)
                    claims += _assertions(target, hunks, language, whole)
                claims += _switched_off(target, hunks, language)
            elif target.extension in CODE and not target.is_supporting:
                claims += _checks(target, hunks, whole)
        return Outcome(tuple(claims))


def _blocks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """The runs of changed lines between lines that stay."""
    block: list[Row] = []
    for row in rows:
        if row.kind is not LineKind.CONTEXT:
            block.append(row)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _removed(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.kind is LineKind.REMOVED]


def _defined_tests(rows: Sequence[Row], language: Language) -> Iterator[tuple[int, Row, str]]:
    """Tests that begin in `rows`, all of one kind: the index, the line and the name."""
    marked = language.mark is None
    for index, row in enumerate(rows):
        if language.mark is not None and language.mark.match(row.text):
            marked = True
        elif found := language.test.match(row.text):
            if marked:
                yield index, row, next(name for name in found.groupdict().values() if name)
            marked = language.mark is None


def _only_loses(hunks: Sequence[Sequence[Row]]) -> bool:
    """Whether a file brings nothing but what its new head needs: where it is rewritten, what is missing has moved."""
    return not any(
        row.kind is LineKind.ADDED and row.text.strip() and not _IMPORT.match(row.text)
        for rows in hunks
        for row in rows
    )


def _says_too_little(body: Sequence[Row], language: Language) -> bool:
    """Whether a test is no loss: a name alone, or a comparison with a picture that is taken anew at will."""
    asserts = [row for row in body if language.asserts.search(row.text)]
    return len(body) < 2 or (bool(asserts) and all(_SNAPSHOT.search(row.text) for row in asserts))


def _tests(target: Target, hunks: Sequence[Sequence[Row]], language: Language, whole: Whole) -> Iterator[Claim]:
    """One claim for the tests that a file loses, at the first; a table of cases stands for many."""
    gone: list[tuple[Row, str]] = []
    new = 0
    for rows in hunks:
        if any(row.kind is LineKind.ADDED and _TABLE.search(row.text) for row in rows):
            return
        if any(_MATCHES.search(row.text) for row in rows):
            continue  # which lines of the diff belong to which test is not known there
        new += sum(1 for _ in _defined_tests([row for row in rows if row.kind is LineKind.ADDED], language))
        for block in _blocks(rows):
            lines = _removed(block)
            starts = list(_defined_tests(lines, language))
            ends = [*(index for index, _, _ in starts), len(lines)][1:]
            for (index, row, name), end in zip(starts, ends, strict=True):
                body = lines[index:end]
                if _says_too_little(body, language) or whole.brings(name) or whole.unsaid_with(name):
                    continue
                if any(f"super().{name}(" in line.text for line in body):
                    continue  # the inherited test runs now
                if not (whole.lost_with(body) or whole.outdated(body) or whole.moved(body)):
                    gone.append((row, name))
    if len(gone) <= new:
        return  # rewritten rather than removed
    row, name = gone[0]
    others = f" and {len(gone) - 1} more in this file" if len(gone) > 1 else ""
    title = f"A test is removed{others}"
    yield _old(
        target,
        row,
        "removed-test",
        Severity.LOW,
        title,
        f"{name.strip()} is nowhere else in the change, and what it tests seems to stay. If another test covers it, "
        "say which; otherwise keep it.",
    )


def _assertions(target: Target, hunks: Sequence[Sequence[Row]], language: Language, whole: Whole) -> Iterator[Claim]:
    """Assertions that go while all else of their test stays; one claim for a block.

    Where anything comes in their place they were rewritten, and where their test loses more than them it is another.
    """
    if not _only_loses(hunks):
        return
    for rows in hunks:
        blocks = [_removed(block) for block in _blocks(rows)]
        if not all(language.asserts.search(lines[0].text) for lines in blocks if lines):
            continue
        for lines in blocks:
            asserts = [row for row in lines if language.asserts.search(row.text)]
            if not asserts or any(DEFINITION.match(row.text) or language.test.match(row.text) for row in lines):
                continue
            if any(whole.unsaid_with(row.text) for row in lines) or whole.moved(asserts):
                continue
            if len(asserts) * 2 < len(lines):
                continue
            yield _old(
                target,
                asserts[0],
                "removed-assertion",
                Severity.LOW,
                "An assertion is removed from a test that stays",
                "The test now passes where it failed before, and nothing in the change checks the same. If the "
                "behaviour was meant to change, assert the new one.",
            )


def _switched_off(target: Target, hunks: Sequence[Sequence[Row]], language: Language) -> Iterator[Claim]:
    """Tests that existed and do not run any more."""
    for rows in hunks:
        for index, row in enumerate(rows):
            if row.kind is not LineKind.ADDED:
                continue
            if FOCUS.match(row.text) and target.extension in LANGUAGES and language.comment == "//":
                yield _new(
                    target,
                    row,
                    "focused-test",
                    Severity.MEDIUM,
                    "Only this test runs now",
                    "The focus was meant for a moment: it switches all other tests of the file off. Take it away.",
                )
            elif language.skip and (found := language.skip.search(row.text)) and _existed(rows, index, found, language):
                yield _new(
                    target,
                    row,
                    "skipped-test",
                    Severity.LOW,
                    "A test is switched off",
                    "It ran before this change, and nobody will notice what it would have found. Repair it, or say "
                    "with an issue when it comes back.",
                )


def _existed(rows: Sequence[Row], index: int, found: re.Match[str], language: Language) -> bool:
    """Whether the test that is switched off at `index` was there before the change."""
    name = found.groupdict().get("name")
    if name is not None:
        return any(row.kind is LineKind.REMOVED and name in row.text for row in rows)
    if rows[index].text.startswith("\t"):  # Go says it inside, the others in front
        before = (row for row in reversed(rows[:index]) if language.test.match(row.text))
        return next(before, rows[index]).kind is LineKind.CONTEXT
    after = (row for row in rows[index + 1 :] if DEFINITION.match(row.text) or language.test.match(row.text))
    return next(after, rows[index]).kind is LineKind.CONTEXT


def _checks(target: Target, hunks: Sequence[Sequence[Row]], whole: Whole) -> Iterator[Claim]:
    """Checks that go while the function they guard stays; one claim for a file and a rule, at the first."""
    told: set[str] = set()
    for rows in hunks:
        for block in _blocks(rows):
            lines = _removed(block)
            if any(DEFINITION.match(row.text) for row in lines) or whole.moved(lines):
                continue
            for check in CHECKS:
                if check.rule in told:
                    continue
                for row in lines:
                    found = None if _COMMENT.match(row.text) else check.word.search(row.text)
                    if found is None or whole.lost_with([row]) or _brings_any(whole, found[0]):
                        continue
                    if check.refuses and not any(REFUSAL.search(other.text) for other in lines):
                        continue
                    told.add(check.rule)
                    yield _old(target, row, check.rule, check.severity, check.title, _CHECK_ADVICE)
                    break


def _brings_any(whole: Whole, found: str) -> bool:
    """Whether the change adds the telling word of a check, in whatever form."""
    words = [word for word in NAME.findall(found) if word not in ("unless", "elif", "this", "self")]
    return bool(words) and whole.brings(words[-1])


def _old(target: Target, row: Row, rule: str, severity: Severity, title: str, body: str) -> Claim:
    return replace(_new(target, row, rule, severity, title, body), side=Side.LEFT)


def _new(target: Target, row: Row, rule: str, severity: Severity, title: str, body: str) -> Claim:
    category = "security" if rule in {check.rule for check in CHECKS} else "tests"
    return claim("removals", rule, target, AddedLine(row.number, row.text), severity, category, title, body, 0.8)
