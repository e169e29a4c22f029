"""The messages between parent and child, and the parent's distrust of what comes back.

Once the child has read hostile bytes it counts as hostile: every type, size, count, path and range is checked, and what
the parent knows itself (paths, names) is never taken from an answer.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from services.kit.diff.model import Side
from services.review.analyzers.frames import FrameError
from services.review.analyzers.limits import Limits
from services.review.analyzers.prepare import MAX_CONTENT, MAX_LINE
from services.review.analyzers.target import MAX_BODY, MAX_TITLE, Outcome
from services.review.domain import (
    AnalyzerReport,
    Claim,
    DropReason,
    Fate,
    FileReport,
    Finding,
    Severity,
    Source,
    SourceFile,
    SourceKind,
)
from services.review.evidence.bind import Bound
from services.review.evidence.paths import path_text

_Word = TypeVar("_Word", bound=StrEnum)
_BLOBS = ("path", "previous_path", "patch", "head")  # base contents are of no use to any analyzer yet
_TEXTS = ("status", "old_mode", "new_mode", "reason")
_MAX_LINE_NUMBER = 2**31 - 1
_MAX_REASON, _MAX_NOTES = 400, 8
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_RULES = {SourceKind.ANALYZER: _WORD, SourceKind.IMPORT: re.compile(r"[!-~]{1,200}")}  # other tools name rules freely
MAX_QUOTE = 4 * MAX_LINE
_TOO_LARGE = "the change is too large: this file was left out"


class Place(NamedTuple):
    """Where a finding is, in the order of the fields of a Finding."""

    fingerprint: str
    path: str
    side: Side
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Done:
    """One analyzer's checked answer."""

    report: AnalyzerReport
    findings: tuple[Finding, ...]
    summary: tuple[Claim, ...]
    dropped: Mapping[DropReason, int]


def encode_request(files: Sequence[SourceFile], limits: Limits) -> tuple[dict[str, Any], list[bytes]]:
    """The request and the blobs it refers to by number; files past `limits.input_bytes` go without their content."""
    blobs: list[bytes] = []
    entries = []
    room = limits.input_bytes
    for file in files:
        size = len(file.patch or b"") + min(len(file.head or b""), MAX_CONTENT + 1)
        fits = size <= room
        room -= size if fits else 0
        entry: dict[str, Any] = {name: getattr(file, name) for name in _TEXTS}
        if not fits:
            entry["reason"] = _TOO_LARGE
        for name in _BLOBS if fits else _BLOBS[:2]:
            blob = getattr(file, name)
            if blob is not None:
                entry[name] = len(blobs)
                # One byte more than is read tells the child that there is more.
                blobs.append(blob[: MAX_CONTENT + 1] if name == "head" else blob)
        entries.append(entry)
    # The child stops by itself a little earlier than it is stopped.
    return {"files": entries, "blobs": len(blobs), "seconds": limits.seconds * 0.9, "findings": limits.findings}, blobs


def decode_files(request: Any, blobs: Sequence[bytes]) -> list[SourceFile]:
    """The files of a request, on the child's side, which trusts its parent."""
    return [
        SourceFile(
            **{name: entry[name] for name in _TEXTS},
            **{name: blobs[entry[name]] for name in _BLOBS if name in entry},
        )
        for entry in request["files"]
    ]


def encode_report(report: FileReport) -> list[Any]:
    """A file's fate without its path, which the parent knows by position."""
    return [report.fate, report.reason, report.hunks, report.hunks_read, report.notes]


def encode_done(name: str, version: str, outcome: Outcome, bound: Bound, duration_ms: int) -> dict[str, Any]:
    """An analyzer's answer."""
    return {
        "type": "done",
        "name": name,
        "version": version,
        "fate": outcome.fate,
        "reason": outcome.reason,
        "ms": duration_ms,
        "dropped": bound.dropped,
        "findings": [
            [f.fingerprint, f.path, f.side, f.start_line, f.end_line, f.quote, f.severity, f.category, f.confidence,
             f.title, f.body, f.source.rule_id]
            for f in bound.findings
        ],
        "summary": [
            [c.path, c.side, c.quote, c.severity, c.category, c.confidence, c.title, c.body, c.source.rule_id]
            for c in bound.summary_only
        ],
    }  # fmt: skip


def decode_reports(message: Mapping[str, Any], files: Sequence[SourceFile]) -> tuple[FileReport, ...]:
    """The fates of `files`, in their order; raises FrameError unless there is exactly one well-formed fate for each."""
    found = rows(message, "files", 5, len(files))
    if len(found) != len(files):
        raise FrameError("the child answered for other files than it was given")
    return tuple(_report(row, file) for row, file in zip(found, files, strict=True))


def _report(row: list[Any], file: SourceFile) -> FileReport:
    fate, reason, hunks, read, notes = row
    total = _int(hunks, 0, _MAX_LINE_NUMBER)
    if not isinstance(notes, list) or len(notes) > _MAX_NOTES:
        raise FrameError("the child's notes on a file are malformed")
    return FileReport(
        path_text(file.path),
        file.status,
        _fate(fate, Fate.REVIEWED, Fate.PARTIAL, Fate.SKIPPED),
        optional_text(reason, _MAX_REASON),
        total,
        _int(read, 0, total),
        tuple(text(note, _MAX_REASON) for note in notes),
    )


def decode_done(
    message: Mapping[str, Any],
    name: str,
    paths: frozenset[str],
    limits: Limits,
    kind: SourceKind = SourceKind.ANALYZER,
) -> Done:
    """The answer of the analyzer called `name`; raises FrameError for anything malformed or out of bounds."""
    if message.get("name") != name:
        raise FrameError("the child answered for another analyzer than it was running")
    report = AnalyzerReport(
        name,
        text(message.get("version"), 80),
        _fate(message.get("fate"), Fate.RAN, Fate.PARTIAL, Fate.SKIPPED, Fate.FAILED),
        optional_text(message.get("reason"), _MAX_REASON),
        _int(message.get("ms"), 0, 86_400_000),
    )
    return Done(
        report,
        tuple(_finding(row, name, kind, paths) for row in rows(message, "findings", 12, limits.findings)),
        tuple(_summary(row, name, kind, paths) for row in rows(message, "summary", 9, limits.findings)),
        dropped(message),
    )


def imported_name(message: Mapping[str, Any]) -> str:
    """The name of the tool whose results the child read; raises FrameError."""
    name = text(message.get("name"), 80)
    if not name or not name.isprintable():
        raise FrameError("the name of a tool is malformed")
    return name


def dropped(message: Mapping[str, Any]) -> dict[DropReason, int]:
    """How many claims the child dropped, and why; raises FrameError."""
    found = message.get("dropped")
    if not isinstance(found, dict):
        raise FrameError("the child's count of what it dropped is malformed")
    return {_enum(DropReason, reason): _int(count, 0, 10_000_000) for reason, count in found.items()}


def _finding(row: list[Any], analyzer: str, kind: SourceKind, paths: frozenset[str]) -> Finding:
    fingerprint, path, side, start, end, quote, severity, category, confidence, title, body, rule = row
    found = place(fingerprint, path, side, start, end, quote, paths)
    return Finding(
        *found,
        _enum(Severity, severity),
        _match(category, _WORD),
        _confidence(confidence),
        text(title, MAX_TITLE),
        text(body, MAX_BODY),
        Source(kind, analyzer, _match(rule, _RULES[kind])),
    )


def place(
    fingerprint: object, path: object, side: object, start: object, end: object, quote: object, paths: frozenset[str]
) -> Place:
    """Where the child says a finding is; raises FrameError unless it is in one of `paths` and as long as its quote."""
    first = _int(start, 1, _MAX_LINE_NUMBER)
    last = _int(end, first, _MAX_LINE_NUMBER)
    found = text(quote, MAX_QUOTE)
    if found.count("\n") != last - first:
        raise FrameError("a quote of the child does not have the lines it claims")
    return Place(_match(fingerprint, _FINGERPRINT), known_path(path, paths), _enum(Side, side), first, last, found)


def _summary(row: list[Any], analyzer: str, kind: SourceKind, paths: frozenset[str]) -> Claim:
    path, side, quote, severity, category, confidence, title, body, rule = row
    return Claim(
        known_path(path, paths),
        _enum(Side, side),
        text(quote, MAX_QUOTE),
        _enum(Severity, severity),
        _match(category, _WORD),
        text(title, MAX_TITLE),
        text(body, MAX_BODY),
        Source(kind, analyzer, _match(rule, _RULES[kind])),
        _confidence(confidence),
    )


def rows(message: Mapping[str, Any], key: str, width: int, most: int) -> list[list[Any]]:
    """The rows under `key`, at most `most`, each of `width` fields; raises FrameError."""
    found = message.get(key)
    if not isinstance(found, list) or len(found) > most:
        raise FrameError(f"the child's {key} are malformed or too many")
    if any(not isinstance(row, list) or len(row) != width for row in found):
        raise FrameError(f"the child's {key} are malformed")
    return found


def text(value: object, most: int) -> str:
    """A text of at most `most` characters; raises FrameError."""
    if not isinstance(value, str) or len(value) > most:
        raise FrameError("a text of the child is malformed or too long")
    # A lone surrogate can't be encoded by whatever stores or sends the text later.
    return value.encode("utf-8", "replace").decode("utf-8") if not value.isascii() else value


def optional_text(value: object, most: int) -> str | None:
    """A text of at most `most` characters or none; raises FrameError."""
    return None if value is None else text(value, most)


def _int(value: object, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise FrameError("a number of the child is malformed or out of range")
    return value


def _confidence(value: object) -> float:
    if (
        not isinstance(value, (int, float))
        or isinstance(value, bool)
        or not math.isfinite(value)
        or not 0 <= value <= 1
    ):
        raise FrameError("a confidence of the child is out of range")
    return float(value)


def _match(value: object, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise FrameError("a name of the child is malformed")
    return value


def known_path(value: object, paths: frozenset[str]) -> str:
    """A path that the child was given; raises FrameError."""
    if not isinstance(value, str) or value not in paths:
        raise FrameError("the child named a file that it was not given")
    return value


def _enum(kind: type[_Word], value: object) -> _Word:
    try:
        return kind(value)  # type: ignore[arg-type] # whatever it is, the enumeration refuses it
    except ValueError as error:
        raise FrameError("a word of the child is unknown") from error


def _fate(value: object, *allowed: Fate) -> Fate:
    fate = _enum(Fate, value)
    if fate not in allowed:
        raise FrameError("a fate of the child is out of place")
    return fate
