"""How a rule of another program is told to a person."""

from typing import NamedTuple

from services.review.analyzers.target import AddedLine, Target, claim
from services.review.domain import Claim, Severity


class Advice(NamedTuple):
    """Our words for one rule: what is wrong, then what comes of it and what to do."""

    severity: Severity
    category: str
    title: str
    body: str


def advise(analyzer: str, rule: str, advice: Advice, target: Target, line: AddedLine) -> Claim:
    """The claim of `rule` at an added line; in tests and examples nothing is graver than medium."""
    severity = advice.severity
    if target.is_supporting and severity.rank > Severity.MEDIUM.rank:
        severity = Severity.MEDIUM
    return claim(analyzer, rule, target, line, severity, advice.category, advice.title, advice.body)
