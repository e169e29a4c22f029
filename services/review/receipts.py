"""Findings and receipts between the domain, the tables and the API."""

from collections.abc import Mapping
from typing import Any

from services.kit.diff.model import Side
from services.kit.postgres.pool import Row
from services.review.domain import Fate, Finding, Report, Severity, Source, SourceKind


def receipt(report: Report) -> Mapping[str, Any]:
    """Answer the receipt as it is stored: plain JSON with the names of the proto."""
    analysis = report.analysis
    return {
        "files": [
            {
                "path": f.path,
                "status": f.status,
                # Of a file that nobody came to nothing was read, which is what the API calls skipped.
                "fate": (Fate.SKIPPED if f.fate is Fate.FAILED else f.fate).value,
                "reason": f.reason or "",
                "hunks": f.hunks,
                "hunks_read": f.hunks_read,
                "notes": list(f.notes),
            }
            for f in analysis.files
        ],
        "analyzers": [
            {
                "name": a.name,
                "version": a.version,
                "fate": a.fate.value,
                "reason": a.reason or "",
                "duration_ms": a.duration_ms,
            }
            for a in analysis.analyzers
        ],
        "models": [
            {
                "provider": m.provider,
                "model": m.model,
                "calls": m.calls,
                "input_tokens": m.input_tokens,
                "cached_tokens": m.cached_tokens,
                "output_tokens": m.output_tokens,
                "prompt_hash": m.prompt_hash,
                **({"in_doubt_calls": m.in_doubt_calls} if m.in_doubt_calls else {}),
                **({} if m.cost_usd is None else {"cost_usd": m.cost_usd}),
            }
            for m in report.models
        ],
        "model_failure": report.model_failure,
        "dropped_findings": [{"reason": r.value, "count": n} for r, n in sorted(analysis.dropped.items())],
        "notes": list(report.notes),
    }


def finding_from_row(row: Row) -> Finding:
    """Build the domain's finding from its row."""
    source = Source(SourceKind(row["source_kind"]), row["source_name"], row["source_rule_id"], row["source_model"])
    same = ("fingerprint", "path", "start_line", "end_line", "quote", "category", "confidence", "title", "body")
    return Finding(
        side=Side(row["side"]),
        severity=Severity(row["severity"]),
        source=source,
        replacement=row["replacement"],
        **{name: row[name] for name in same},
    )
