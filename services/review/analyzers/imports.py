"""Results of other tools become claims about lines of the diff, or are counted as outside it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from services.kit.diff.model import Side
from services.review.analyzers.prepare import Prepared
from services.review.analyzers.sarif import SarifResult, SarifRun
from services.review.analyzers.target import MAX_BODY, MAX_TITLE, Outcome
from services.review.domain import Claim, DropReason, Severity, Source, SourceFile, SourceKind
from services.review.evidence.bind import Bound, bind
from services.review.evidence.paths import path_text
from services.review.evidence.shown import line_text

_MAX_LINES = 10  # of a quote; a longer region is about its beginning
_BY_LEVEL = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "note": Severity.LOW, "none": Severity.LOW}
# The bounds of GitHub's code scanning, so that a finding is as grave here as there.
_BY_SCORE = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.0, Severity.LOW))
_UNSAFE_RULE = re.compile(r"[^!-~]+")


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one run of a tool."""

    tool: str
    version: str
    outcome: Outcome
    bound: Bound


class Importer:
    """Binds the results of other tools to the prepared files of one change."""

    def __init__(self, prepared: Sequence[Prepared], files: Sequence[SourceFile]) -> None:
        self._prepared = prepared
        self._heads = [file.head for file in files]
        self._numbers: dict[bytes, int] = {}
        for number, file in enumerate(prepared):
            if file.diff.new_path is not None:
                self._numbers.setdefault(file.diff.new_path, number)
        self._right: dict[int, dict[int, str]] = {}
        self._split: dict[int, list[bytes]] = {}

    def bind(self, run: SarifRun, limit: int) -> Imported:
        """Bind the results of one run."""
        dropped: Counter[DropReason] = Counter()
        claims: list[Claim] = []
        for result in run.results:
            claim = self._claim(run.tool, result)
            if claim is None:
                dropped[DropReason.OUTSIDE_DIFF] += 1
            else:
                claims.append(claim)
        bound = bind(claims, [file.diff for file in self._prepared], limit=limit)
        dropped[DropReason.SUPPRESSED] += run.suppressed
        dropped[DropReason.OVER_LIMIT] += run.over_limit
        counts = dropped + Counter(bound.dropped)
        return Imported(run.tool, run.version, Outcome(()), Bound(bound.findings, dict(counts), bound.summary_only))

    def _claim(self, tool: str, result: SarifResult) -> Claim | None:
        """The claim about the lines a result names, None where the diff does not have the first of them."""
        number = self._file(result.uri)
        if number is None or result.start_line is None:
            return None
        inside = self._lines(number)
        last = min(result.end_line or result.start_line, result.start_line + _MAX_LINES - 1)
        lines = []
        for line in range(result.start_line, max(last, result.start_line) + 1):
            if line not in inside:
                break
            lines.append(self._head_line(number, line, inside[line]))
        if not lines:
            return None
        title, body = _words(result)
        rule = _UNSAFE_RULE.sub("-", result.rule_id)[:200] or "unnamed"
        return Claim(
            path=path_text(self._prepared[number].diff.path),
            side=Side.RIGHT,
            quote="\n".join(lines),
            severity=_severity(result),
            category="security" if result.rule and result.rule.is_security else "rule",
            title=title,
            body=body,
            source=Source(SourceKind.IMPORT, tool, rule),
            near_line=result.start_line,
        )

    def _file(self, uri: str | None) -> int | None:
        """The changed file a URI names: relative to the repository, or an absolute one that ends in its path."""
        if uri is None:
            return None
        plain = uri.partition("#")[0].partition("?")[0]
        path = unquote_to_bytes(plain.removeprefix("file://"))
        while path.startswith(b"./"):
            path = path[2:]
        if path in self._numbers:
            return self._numbers[path]
        if not path.startswith(b"/"):
            return None
        suffixes = (path[at + 1 :] for at, byte in enumerate(path) if byte == ord("/"))
        return next((self._numbers[suffix] for suffix in suffixes if suffix in self._numbers), None)

    def _lines(self, number: int) -> dict[int, str]:
        """The lines of the new side that the diff shows, by number."""
        if number not in self._right:
            self._right[number] = {
                line.new: line_text(line.text)
                for hunk in self._prepared[number].diff.hunks
                for line in hunk.lines()
                if line.new is not None
            }
        return self._right[number]

    def _head_line(self, number: int, line: int, otherwise: str) -> str:
        """The line as the uploaded content has it: where that is not what the diff says, the tool saw another file."""
        head = self._heads[number]
        if head is None:
            return otherwise
        if number not in self._split:
            self._split[number] = head.split(b"\n")
        lines = self._split[number]
        return line_text(lines[line - 1]) if line <= len(lines) else ""


def _severity(result: SarifResult) -> Severity:
    score = result.rule.score if result.rule else None
    if score is not None:
        return next(severity for least, severity in _BY_SCORE if score >= least)
    return _BY_LEVEL[result.level]


def _words(result: SarifResult) -> tuple[str, str]:
    text = result.text.strip() or "The tool gave no message."
    first = " ".join(text.splitlines()[0].split())
    title = "".join(c for c in first if c.isprintable()) or "The tool gave no message."
    help_text = result.rule.help.strip() if result.rule else ""
    body = f"{text}\n\n{help_text}" if help_text and help_text != text else text
    return _cut(title, MAX_TITLE), _cut(body, MAX_BODY)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
