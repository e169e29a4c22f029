"""Findings for a person at a terminal: grouped by file, 80 columns, colour only where it is wanted."""

import textwrap
from collections import Counter
from itertools import groupby

import click
from lintel.review.v1 import review_pb2 as pb

from cli.review.formats.text import LEVELS, count, fix, rule, visible
from cli.review.run import Outcome
from client.shape import enum_name, severity

WIDTH = 80
_COLOURS = {"critical": "bright_red", "high": "red", "medium": "yellow", "low": "cyan"}


def render(outcome: Outcome, *, colour: bool, receipt: bool = False) -> str:
    """Answer the page: each file with its findings, then one line of totals; the receipt where it is asked for."""
    painter = _Painter(colour)
    parts = []
    for path, findings in groupby(outcome.answer.findings, key=lambda finding: finding.path):
        parts += [painter(visible(path), bold=True), ""]
        for finding in findings:
            parts += [*_finding(finding, painter), ""]
    if receipt:
        parts += [*_receipt(outcome.answer.receipt, painter), ""]
    return "\n".join([*parts, totals(outcome)]) + "\n"


def totals(outcome: Outcome) -> str:
    """Answer the line that says how it stands."""
    answer = outcome.answer
    counts = Counter(severity(finding) for finding in answer.findings)
    read = sum(file.fate != pb.FILE_FATE_SKIPPED for file in answer.receipt.files)
    scope = f"{read} of {count(len(answer.receipt.files), 'file')} read"
    if answer.findings:
        by_level = ", ".join(f"{counts[level]} {level}" for level in reversed(LEVELS) if counts[level])
        said = f"{count(len(answer.findings), 'finding')} ({by_level})"
    elif outcome.failures:
        said = "Not completed, so silence means nothing"
    else:
        said = "No findings in what was read"
    models = ", ".join(f"{model.provider}:{model.model}" for model in answer.receipt.models)
    if answer.receipt.model_failure:
        asked = f"the model failed ({models})" if models else "the model failed"
    else:
        was_asked = any(model.calls for model in answer.receipt.models)
        asked = f"models: {models}" if was_asked else f"{models} was not asked" if models else "no model"
    return visible(f"{said}; {scope}; {asked}.")


class _Painter:
    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, text: str, fg: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
        return click.style(text, fg=fg, bold=bold or None, dim=dim or None) if self._colour else text


def _finding(finding: pb.Finding, paint: _Painter) -> list[str]:
    level = severity(finding)
    lines = f"{finding.start_line}" + (f"-{finding.end_line}" if finding.end_line != finding.start_line else "")
    removed = " (removed)" if finding.side == pb.SIDE_LEFT else ""
    label = f"  {lines}{removed}  {level}  "
    title = textwrap.wrap(visible(finding.title), max(WIDTH - len(label), 20)) or [""]
    head = f"  {paint(lines, bold=True)}{removed}  {paint(level, _COLOURS.get(level), bold=True)}  "
    parts = [head + paint(title[0], bold=True), *(" " * len(label) + paint(line, bold=True) for line in title[1:]), ""]
    parts += [*_quote(finding, paint), ""]
    for paragraph in finding.body.split("\n"):
        parts += textwrap.wrap(visible(paragraph), WIDTH - 4, initial_indent="    ", subsequent_indent="    ")
    changes = fix(finding)
    if changes:
        parts += ["", "    Suggested:", *(_fix_line(line, paint) for line in changes)]
    parts.append(paint(f"    {visible(rule(finding))} · {visible(finding.category)}", dim=True))
    return parts


def _quote(finding: pb.Finding, paint: _Painter) -> list[str]:
    width = len(str(finding.end_line))
    room = WIDTH - width - 7
    parts = []
    for number, line in enumerate(finding.quote.split("\n"), finding.start_line):
        text = visible(line.removesuffix("\r").expandtabs(4))
        text = text if len(text) <= room else text[: room - 1] + "…"
        parts.append(f"    {paint(f'{number:>{width}} |', dim=True)} {text}".rstrip())
    return parts


def _fix_line(line: str, paint: _Painter) -> str:
    text = "    " + line[0] + " " + visible(line[1:].removesuffix("\r").expandtabs(4))
    return paint(text.rstrip(), {"+": "green", "-": "red"}.get(line[0]))


def _receipt(receipt: pb.Receipt, paint: _Painter) -> list[str]:
    parts = [paint("Receipt", bold=True)]
    for file in receipt.files:
        fate = enum_name(pb.FileFate, "FILE_FATE_", file.fate)
        parts.append(_line(f"{file.path}: {fate}, {file.hunks_read} of {count(file.hunks, 'hunk')}", file.reason))
        parts += [_line(f"  {note}") for note in file.notes]
    for analyzer in receipt.analyzers:
        fate = enum_name(pb.AnalyzerFate, "ANALYZER_FATE_", analyzer.fate)
        told = f"{analyzer.name} {analyzer.version}".rstrip()
        parts.append(_line(f"{told}: {fate}, {analyzer.duration_ms} ms", analyzer.reason))
    for model in receipt.models:
        price = f", ${model.cost_usd:.4f}" if model.HasField("cost_usd") else ", price not known"
        tokens = f"{model.input_tokens} tokens in ({model.cached_tokens} cached), {model.output_tokens} out"
        parts.append(_line(f"{model.provider}:{model.model}: {count(model.calls, 'call')}, {tokens}{price}"))
    if receipt.model_failure:
        parts.append(_line("the model did not look at everything", receipt.model_failure))
    parts += [_line(f"dropped: {drop.count} {drop.reason}") for drop in receipt.dropped_findings]
    return parts + [_line(note) for note in receipt.notes]


def _line(text: str, reason: str = "") -> str:
    return textwrap.fill(
        visible(f"{text}: {reason}" if reason else text),
        WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_on_hyphens=False,
    )
