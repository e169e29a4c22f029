"""Lays out a change for a model: by hunk, the riskiest files first, in as many calls as are allowed."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from services.kit.redact import mask
from services.kit.tokens import estimate
from services.review.model.fence import visible
from services.review.model_port import ShownFile, ShownHunk, ShownLine, SourceView

MAX_LINE = 2000  # characters; what is longer is data, and costs more than it tells
_RISKY = re.compile(
    r"auth|login|passw|token|secret|crypt|session|permission|access|admin|payment|billing|sql|query|upload|webhook|api",
    re.I,
)
_TEST = re.compile(r"(^|/)(tests?|specs?|__tests__|testdata|fixtures|examples?)/|(^|/)test_|[._](test|spec)\.", re.I)
_PROSE = re.compile(r"\.(md|rst|adoc|txt|csv|svg|po)$", re.I)


@dataclass(frozen=True, slots=True)
class Pack:
    """What one call is shown; `paths` are the names that claims may use, with the real ones."""

    text: str
    paths: dict[str, str]
    tokens: int


@dataclass(frozen=True, slots=True)
class Packing:
    """The calls, and what they leave out: files that are not shown at all or in part, and lines that are too long."""

    packs: tuple[Pack, ...]
    files_left_out: tuple[str, ...] = ()
    files_cut: tuple[str, ...] = ()
    long_lines: int = 0


@dataclass(slots=True)
class _Chunk:
    file: int
    text: str
    tokens: int


@dataclass(slots=True)
class _Open:
    """The pack that is being filled."""

    texts: list[str] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
    tokens: int = 0
    file: int = -1


def shown_path(path: str) -> str:
    """Answer a path as the model reads it."""
    return visible(mask(path))


def shown_line(line: ShownLine) -> str:
    """Answer a line as the model reads it, its mark in front; a carriage return at its end is not shown."""
    return line.kind.value + visible(line.text.removesuffix("\r"))


def header(file: ShownFile) -> str:
    """Answer the line that begins a file; the path is a JSON string, so that nothing in it can end the line."""
    return f"### file {json.dumps(shown_path(file.path), ensure_ascii=False)} {visible(file.status)}"


def risk(file: ShownFile) -> int:
    """Answer how early a file is looked at: higher is earlier."""
    if _PROSE.search(file.path):
        return 0
    if _TEST.search(file.path):
        return 1
    return 3 if _RISKY.search(file.path) else 2


def pack(view: SourceView, budget: int, max_calls: int) -> Packing:
    """Fill at most `max_calls` packs of at most `budget` tokens; the same view always gives the same packs."""
    order = sorted(range(len(view.files)), key=lambda index: -risk(view.files[index]))
    done: list[Pack] = []
    current = _Open()
    shown: set[int] = set()
    missed: set[int] = set()
    long_lines = 0
    for index in order:
        file = view.files[index]
        head = header(file)
        head_tokens = estimate(head)
        long_lines += sum(len(line.text) > MAX_LINE for hunk in file.hunks for line in hunk.lines)
        for chunk in _chunks(index, file.hunks, max(budget - head_tokens, 1)):
            cost = chunk.tokens + (head_tokens if current.file != index else 0)
            if current.tokens + cost > budget and current.texts:
                done.append(_close(current))
                current = _Open()
                cost = chunk.tokens + head_tokens
            if len(done) >= max_calls:
                missed.add(index)
                continue
            if current.file != index:
                current.texts.append(head)
                current.file = index
            current.texts.append(chunk.text)
            current.paths[shown_path(file.path)] = file.path
            current.tokens += cost
            shown.add(index)
    if current.texts:
        done.append(_close(current))
    names = [view.files[index].path for index in sorted(missed - shown)]
    cut = [view.files[index].path for index in sorted(missed & shown)]
    return Packing(tuple(done), tuple(names), tuple(cut), long_lines)


def _close(current: _Open) -> Pack:
    return Pack("\n".join(current.texts), current.paths, current.tokens)


def _chunks(file: int, hunks: Sequence[ShownHunk], budget: int) -> Iterator[_Chunk]:
    """Yield whole hunks, those above the budget in pieces; a piece ends before a line that is too long to show."""
    for hunk in hunks:
        head = f"@@ {visible(mask(hunk.section))[:200]}".rstrip()
        lines, tokens, changed = [head], estimate(head), False
        for line in hunk.lines:
            text = shown_line(line) if len(line.text) <= MAX_LINE else None
            cost = estimate(text) if text is not None else 0
            if (text is None or tokens + cost > budget) and len(lines) > 1:
                if changed:
                    yield _Chunk(file, "\n".join(lines), tokens)
                lines, tokens, changed = [head], estimate(head), False
            if text is not None:
                lines.append(text)
                tokens += cost
                changed = changed or line.kind.value != " "
        if changed:
            yield _Chunk(file, "\n".join(lines), tokens)
