"""From claims to findings: each bound to its lines, told apart, merged, ordered and capped."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.kit.diff.model import FileDiff, Side
from services.review.domain import Claim, DropReason, Finding, Severity
from services.review.evidence.fingerprint import Surroundings, fingerprint, normalised, rule_key
from services.review.evidence.locate import Contents, Located, Locator, Missed
from services.review.evidence.shown import Shown

DEFAULT_LIMIT = 1000  # far above what is ever posted; it bounds memory when a model answers without end


@dataclass(frozen=True, slots=True)
class Bound:
    """What became of the claims of one call.

    Each claim is one of `findings` or counted once in `dropped`; those of `summary_only` are counted as ambiguous.
    """

    findings: tuple[Finding, ...]
    dropped: Mapping[DropReason, int] = field(default_factory=dict)
    summary_only: tuple[Claim, ...] = ()


def bind(
    claims: Iterable[Claim],
    diff: Sequence[FileDiff],
    shown: Shown | None = None,
    contents: Contents | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Bound:
    """Locate `claims` in what one call was shown of `diff`; at most `limit` findings and as many for the summary.

    A claim for the summary quotes stored lines too, of the first of its equal places; it has no line, no replacement.
    """
    locator = Locator(diff, shown, contents)
    surroundings: dict[tuple[int, Side], Surroundings] = {}
    dropped: Counter[DropReason] = Counter()
    findings: list[Finding] = []
    unplaced: list[Claim] = []
    for claim in claims:
        place = locator.locate(claim)
        if isinstance(place, Located):
            key = place.file, place.side
            if key not in surroundings:
                surroundings[key] = Surroundings(diff[place.file], place.side)
            findings.append(_finding(claim, place, surroundings[key]))
        elif place.reason is DropReason.AMBIGUOUS:
            unplaced.append(_for_summary(claim, place))
        else:
            dropped[place.reason] += 1
    kept, lost = merge(findings, limit)
    summary_only, unsaid = _merged_summary(unplaced, limit)
    dropped[DropReason.AMBIGUOUS] += len(summary_only)
    total = dropped + Counter(lost) + Counter(unsaid)
    return Bound(kept, dict(total), summary_only)


def merge(findings: Iterable[Finding], limit: int = DEFAULT_LIMIT) -> tuple[tuple[Finding, ...], dict[DropReason, int]]:
    """Merge findings of the same fingerprint, keep the gravest `limit`, order them by path, line and severity.

    Of duplicates the gravest stays, then the surest, then one with a suggestion, then the first. The same rule at the
    same lines is always the same fingerprint. Findings of several calls on one diff can be merged again.
    """
    best: dict[str, Finding] = {}
    count = 0
    for finding in findings:
        count += 1
        known = best.get(finding.fingerprint)
        if known is None or _weight(finding) < _weight(known):
            best[finding.fingerprint] = finding
    ranked = sorted(best.values(), key=lambda finding: (_weight(finding), _position(finding)))
    kept = tuple(sorted(ranked[: max(limit, 0)], key=_position))
    lost = {DropReason.DUPLICATE: count - len(best), DropReason.OVER_LIMIT: len(best) - len(kept)}
    return kept, {reason: number for reason, number in lost.items() if number}


def _finding(claim: Claim, place: Located, surroundings: Surroundings) -> Finding:
    told_apart_by = surroundings.discriminator(place.start, place.quote)
    return Finding(
        fingerprint=fingerprint(place.path, place.side, claim.source, claim.category, place.quote, told_apart_by),
        path=place.path,
        side=place.side,
        start_line=place.start,
        end_line=place.end,
        quote=place.quote,
        severity=claim.severity,
        category=claim.category,
        confidence=_clamped(claim.confidence),
        title=claim.title,
        body=claim.body,
        source=claim.source,
        replacement=place.replacement,
    )


def _for_summary(claim: Claim, missed: Missed) -> Claim:
    return replace(
        claim,
        path=missed.path or claim.path,
        quote=missed.quote or "",
        confidence=_clamped(claim.confidence),
        replacement=None,
        near_line=None,
    )


def _merged_summary(claims: Sequence[Claim], limit: int) -> tuple[tuple[Claim, ...], dict[DropReason, int]]:
    best: dict[Hashable, Claim] = {}
    for claim in claims:
        key = claim.path, claim.side, rule_key(claim.source, claim.category), normalised(claim.quote)
        if key not in best or _weight(claim) < _weight(best[key]):
            best[key] = claim
    order = sorted(best.values(), key=lambda claim: (_weight(claim), claim.path, claim.quote, claim.title))
    kept = tuple(order[: max(limit, 0)])
    lost = {DropReason.DUPLICATE: len(claims) - len(best), DropReason.OVER_LIMIT: len(best) - len(kept)}
    return kept, {reason: number for reason, number in lost.items() if number}


def _clamped(confidence: float) -> float:
    """Return the confidence within 0 and 1; no number at all is no confidence."""
    return 0.0 if math.isnan(confidence) else min(1.0, max(0.0, confidence))


def _gravity(severity: Severity) -> int:
    return -severity.rank


def _weight(item: Finding | Claim) -> tuple[int, float, bool]:
    return _gravity(item.severity), -item.confidence, item.replacement is None


def _position(finding: Finding) -> tuple[str, int, int, int, str, str]:
    return (
        finding.path,
        finding.start_line,
        _gravity(finding.severity),
        finding.end_line,
        finding.side.value,
        finding.fingerprint,
    )
