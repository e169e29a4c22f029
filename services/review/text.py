"""What people read on the pull request: plain Markdown, secrets masked, untrusted words in code spans."""

import re
from collections import Counter
from collections.abc import Sequence

from services.kit.redact import mask
from services.review.domain import Analysis, Fate, FileReport, Finding, ModelUse, Severity

_MARK = {Severity.CRITICAL: "🟥", Severity.HIGH: "🟧", Severity.MEDIUM: "🟨", Severity.LOW: "🟦"}
_MAX_ROWS = 50
_MAX_NAMED = 20  # paths in one line of the receipt
NONE_CONFIGURED = "none configured"
ISOLATION = "isolation"  # the line of the receipt that says which walls stood around the analyzers


def code_span(text: str) -> str:
    """Answer `text` as one line of inline code, whatever is in it."""
    flat = re.sub(r"\s", " ", text).replace("|", "¦")
    longest = max((len(run) for run in re.findall(r"`+", flat)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") or not flat.strip() else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def comment(finding: Finding) -> str:
    """Answer the comment that stands at the finding's lines."""
    rule = f" · {code_span(finding.source.rule_id)}" if finding.source.rule_id else ""
    head = f"{_MARK[finding.severity]} **{finding.title}**"
    foot = f"{finding.severity.value} · {finding.category} · {code_span(finding.source.name)}{rule}"
    return mask(f"{head}\n\n{finding.body}\n\n{foot}")


def summary(
    analysis: Analysis,
    notes: Sequence[str],
    head_sha: str,
    models: str = NONE_CONFIGURED,
    model_failed: bool = False,
) -> str:
    """Answer the body of the review: what was found, and the receipt of what was read and what was not.

    `models` says in a line which models were asked.
    """
    parts = ["## Lintel review", _verdict(analysis, head_sha, model_failed)]
    if analysis.findings:
        parts.append(_findings_table(analysis.findings))
    if analysis.summary_only:
        parts.append("**Without a single place in the diff**")
        parts.append("\n".join(f"- {code_span(c.path)}: {c.title}" for c in analysis.summary_only[:_MAX_ROWS]))
    parts += ["### Receipt", _receipt(analysis, notes, models)]
    return mask("\n\n".join(parts))


def models_line(uses: Sequence[ModelUse], otherwise: str) -> str:
    """Answer which models were asked and how much, and `otherwise` where that does not say it all."""
    said = [
        f"{code_span(use.model)} of {use.provider}, {use.calls} call{'s' if use.calls != 1 else ''}, "
        f"{use.input_tokens:,} tokens in and {use.output_tokens:,} out{_price(use)}"
        for use in uses
    ]
    return "; ".join([*said, *([] if uses and otherwise == NONE_CONFIGURED else [otherwise])])


def _price(use: ModelUse) -> str:
    if not use.input_tokens:
        return ""
    return ", price not known" if use.cost_usd is None else f", {use.cost_usd:.4f} USD"


def _verdict(analysis: Analysis, head_sha: str, model_failed: bool) -> str:
    read = [f for f in analysis.files if f.fate not in (Fate.SKIPPED, Fate.FAILED)]
    failed = [a.name for a in analysis.analyzers if a.fate is Fate.FAILED]
    failed += ["the model"] if model_failed else []
    counts = Counter(f.severity for f in analysis.findings)
    by_severity = ", ".join(f"{counts[s]} {s.value}" for s in reversed(Severity) if counts[s])
    scope = f"{len(read)} of {files(len(analysis.files))} read{f' at {code_span(head_sha[:12])}' if head_sha else ''}"
    if analysis.findings:
        number = len(analysis.findings)
        found = f"**{number} finding{'s' if number != 1 else ''}** ({by_severity})"
        found += ", but **the model did not finish**" if model_failed else ""
    elif failed:
        found = f"**Not complete**: {', '.join(failed)} did not finish, so silence means nothing"
    elif not read:
        found = "**Nothing to read** in this change"
    else:
        found = "**No findings** in what was read"
    return f"{found} · {scope}."


def _findings_table(findings: Sequence[Finding]) -> str:
    rows = [
        f"| {_MARK[f.severity]} {f.severity.value} | {code_span(f'{f.path}:{f.start_line}')} "
        f"| {f.title.replace('|', '¦')} |"
        for f in findings[:_MAX_ROWS]
    ]
    more = [f"| | | … and {len(findings) - _MAX_ROWS} more |"] if len(findings) > _MAX_ROWS else []
    return "\n".join(["| severity | where | what |", "|---|---|---|", *rows, *more])


def _receipt(analysis: Analysis, notes: Sequence[str], models: str) -> str:
    lines = []
    reviewed = [f for f in analysis.files if f.fate is Fate.REVIEWED]
    hunks = sum(f.hunks_read for f in analysis.files)
    lines.append(f"- read whole: {files(len(reviewed))}, {hunks} hunk{'s' if hunks != 1 else ''}")
    lines += _not_read_whole(analysis.files)
    for file in analysis.files:
        lines += [f"- {code_span(file.path)}: {note}" for note in file.notes]
    ran = " · ".join(f"{a.name} {a.version}" for a in analysis.analyzers if a.fate is Fate.RAN and a.name != ISOLATION)
    lines.append(f"- analyzers: {ran or 'none ran'}")
    lines += [f"- walls around them: {a.version}" for a in analysis.analyzers if a.name == ISOLATION and a.version]
    others: dict[tuple[Fate, str | None], list[str]] = {}
    for a in analysis.analyzers:
        if a.fate is not Fate.RAN:
            others.setdefault((a.fate, a.reason), []).append(a.name)
    lines += [f"- {', '.join(names)} {fate.value}: {reason}" for (fate, reason), names in others.items()]
    lines.append(f"- models: {models}")
    if analysis.dropped:
        lines.append("- dropped: " + ", ".join(f"{n} {r.value}" for r, n in sorted(analysis.dropped.items())))
    lines += [f"- {note}" for note in notes]
    return "\n".join(lines)


def _not_read_whole(reports: Sequence[FileReport]) -> list[str]:
    """Answer a line for each reason why files were not read whole; a long line names the first files and says so."""
    groups: dict[tuple[Fate, str], list[str]] = {}
    for file in reports:
        if file.fate is not Fate.REVIEWED:
            groups.setdefault((file.fate, file.reason or "no reason given"), []).append(code_span(file.path))
    lines = [_group(fate, reason, paths) for (fate, reason), paths in list(groups.items())[:_MAX_ROWS]]
    untold = sum(len(paths) for paths in list(groups.values())[_MAX_ROWS:])
    return [*lines, f"- … and {files(untold)} more not read whole"] if untold else lines


def _group(fate: Fate, reason: str, paths: Sequence[str]) -> str:
    if len(paths) == 1:
        return f"- {paths[0]} {fate.value}: {reason}"
    more = f", … and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else ""
    return f"- {files(len(paths))} {fate.value}, {reason}: {', '.join(paths[:_MAX_NAMED])}{more}"


def files(number: int) -> str:
    """Answer a number of files in words."""
    return f"{number} file{'s' if number != 1 else ''}"
