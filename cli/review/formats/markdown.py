"""Findings as Markdown, for a comment or a job's summary page: it is made to be posted, so secrets are masked."""

import re
from collections import Counter

from lintel.review.v1 import review_pb2 as pb

from cli.review.formats.terminal import totals
from cli.review.formats.text import fix, longest_run, place, rule, visible
from cli.review.run import Outcome
from client.shape import enum_name, severity
from services.kit.redact import mask

_MARKS = {"critical": "🟥", "high": "🟧", "medium": "🟨", "low": "🟦"}


def render(outcome: Outcome) -> str:
    """Answer the page: totals, what was not done, findings, receipt."""
    parts = ["## Lintel review", escape(totals(outcome))]
    parts += [f"**Not completed:** {escape(failure)}" for failure in outcome.failures]
    parts += [_finding(finding) for finding in outcome.answer.findings]
    parts += ["### Receipt", _receipt(outcome)]
    return "\n\n".join(parts) + "\n"


def _finding(finding: pb.Finding) -> str:
    level = severity(finding)
    removed = " (removed lines)" if finding.side == pb.SIDE_LEFT else ""
    parts = [
        f"### {_MARKS[level]} {escape(visible(mask(finding.title)))}",
        f"{code(place(finding))}{removed} · {level} · {escape(finding.category)} · {code(rule(finding))}",
        fence(visible(mask(finding.quote), keep="\n\t")),
        escape(visible(mask(finding.body), keep="\n")),
    ]
    changes = fix(finding)
    if changes:
        parts.append(
            fence("\n".join(visible(line, keep="\t") for line in mask("\n".join(changes)).split("\n")), "diff")
        )
    return "\n\n".join(parts)


def _receipt(outcome: Outcome) -> str:
    receipt = outcome.answer.receipt
    parts = []
    read = Counter(enum_name(pb.FileFate, "FILE_FATE_", file.fate) for file in receipt.files)
    parts.append("- files: " + (", ".join(f"{number} {fate}" for fate, number in read.items()) or "none"))
    for file in receipt.files:
        if file.fate != pb.FILE_FATE_REVIEWED:
            parts.append(
                f"- {code(file.path)} {enum_name(pb.FileFate, 'FILE_FATE_', file.fate)}: {escape(file.reason)}"
            )
        parts += [f"- {code(file.path)}: {escape(note)}" for note in file.notes]
    for analyzer in receipt.analyzers:
        fate = enum_name(pb.AnalyzerFate, "ANALYZER_FATE_", analyzer.fate)
        reason = f": {escape(analyzer.reason)}" if analyzer.reason else ""
        parts.append(f"- {code(f'{analyzer.name} {analyzer.version}'.strip())} {fate}{reason}")
    for model in receipt.models:
        price = f"${model.cost_usd:.4f}" if model.HasField("cost_usd") else "price not known"
        tokens = f"{model.input_tokens} tokens in, {model.output_tokens} out"
        parts.append(f"- {code(f'{model.provider}:{model.model}')} {model.calls} calls, {tokens}, {price}")
    parts += [f"- dropped: {drop.count} {escape(drop.reason)}" for drop in receipt.dropped_findings]
    return "\n".join([*parts, *(f"- {escape(note)}" for note in (*receipt.notes, *outcome.notes))])


def escape(text: str) -> str:
    """Answer `text` so that no renderer takes any of it for HTML, a link, a picture, a mention or a heading."""
    escaped = re.sub(r"([\\`*_\[\]<>!|~#@])", r"\\\1", text)
    return re.sub(r"(?m)^(\s*)([-+=]|\d+[.)])", r"\1\\\2", escaped)


def code(text: str) -> str:
    """Answer `text` as inline code of one line, whatever is in it."""
    flat = visible(text)
    ticks = "`" * (longest_run(flat, "`") + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") or not flat.strip() else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def fence(text: str, language: str = "") -> str:
    """Answer `text` as a code block that it can't end itself."""
    ticks = "`" * max(longest_run(text, "`") + 1, 3)
    return f"{ticks}{language}\n{text}\n{ticks}"
