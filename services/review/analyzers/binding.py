"""Claims that the parent brings and the child binds: only places come back; the words about them never leave."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.kit.diff.model import Side
from services.review.analyzers import wire
from services.review.analyzers.frames import FrameError
from services.review.domain import Claim, DropReason, Finding, Severity, Source, SourceKind
from services.review.evidence.bind import Bound

MAX_CLAIMS = 5000  # a model that answers more has lost its way


def encode_claims(claims: Sequence[Claim], limit: int) -> dict[str, Any]:
    """The request to bind claims, without their words."""
    return {
        "type": "bind",
        "limit": limit,
        "claims": [
            [c.path, c.side, c.quote, c.severity, c.category, c.confidence, c.replacement, c.near_line,
             c.source.kind, c.source.name, c.source.rule_id, c.source.model]
            for c in claims
        ],
    }  # fmt: skip


def decode_claims(request: Mapping[str, Any]) -> list[Claim]:
    """The claims of a request, on the child's side, which trusts its parent; each is titled with its number."""
    return [
        Claim(
            path=path,
            side=Side(side),
            quote=quote,
            severity=Severity(severity),
            category=category,
            title=str(number),
            body="",
            source=Source(SourceKind(kind), name, rule, model),
            confidence=confidence,
            replacement=replacement,
            near_line=near,
        )
        for number, (
            path, side, quote, severity, category, confidence, replacement, near, kind, name, rule, model
        ) in enumerate(request["claims"])
    ]  # fmt: skip


def encode_bound(bound: Bound) -> dict[str, Any]:
    """The places that were found."""
    return {
        "type": "bound",
        "dropped": bound.dropped,
        "findings": [
            [int(f.title), f.fingerprint, f.path, f.side, f.start_line, f.end_line, f.quote, f.replacement]
            for f in bound.findings
        ],
        "summary": [[int(c.title), c.path, c.quote] for c in bound.summary_only],
    }


def decode_bound(message: Any, claims: Sequence[Claim], paths: frozenset[str]) -> Bound:
    """What became of `claims`. Raises FrameError for anything malformed, or about other claims."""
    if not isinstance(message, dict) or message.get("type") != "bound":
        raise FrameError("the child answered out of order")
    seen: set[int] = set()
    findings = tuple(_finding(row, claims, seen, paths) for row in wire.rows(message, "findings", 8, len(claims)))
    summary = tuple(_summary(row, claims, seen, paths) for row in wire.rows(message, "summary", 3, len(claims)))
    dropped: Counter[DropReason] = Counter(wire.dropped(message))
    return Bound(findings, dict(dropped), summary)


def _claim(number: object, claims: Sequence[Claim], seen: set[int]) -> Claim:
    if type(number) is not int or not 0 <= number < len(claims) or number in seen:
        raise FrameError("the child bound a claim that it was not given")
    seen.add(number)
    return claims[number]


def _finding(row: list[Any], claims: Sequence[Claim], seen: set[int], paths: frozenset[str]) -> Finding:
    number, fingerprint, path, side, start, end, quote, replacement = row
    claim = _claim(number, claims, seen)
    place = wire.place(fingerprint, path, side, start, end, quote, paths)
    if place.side is not claim.side or (replacement is not None and claim.replacement is None):
        raise FrameError("the child changed what it was to bind")
    return Finding(
        fingerprint=place.fingerprint,
        path=place.path,
        side=place.side,
        start_line=place.start,
        end_line=place.end,
        quote=place.quote,
        severity=claim.severity,
        category=claim.category,
        confidence=min(1.0, max(0.0, claim.confidence)),
        title=claim.title,
        body=claim.body,
        source=claim.source,
        replacement=wire.optional_text(replacement, wire.MAX_QUOTE),
    )


def _summary(row: list[Any], claims: Sequence[Claim], seen: set[int], paths: frozenset[str]) -> Claim:
    number, path, quote = row
    claim = _claim(number, claims, seen)
    return replace(
        claim,
        path=wire.known_path(path, paths),
        quote=wire.text(quote, wire.MAX_QUOTE),
        replacement=None,
        near_line=None,
    )
