"""What the verifier is shown of a claim: the quoted lines with those around them."""

import json

from services.kit.diff.model import LineKind, Side
from services.kit.redact import mask
from services.review.domain import Claim
from services.review.model.fence import visible
from services.review.model.packing import MAX_LINE, shown_line, shown_path
from services.review.model_port import ShownHunk, SourceView

AROUND = 12  # lines on each side
_MAX_CHARACTERS = 4000


class Surroundings:
    """Finds quotes in a change, roughly: binding them exactly is not done here."""

    def __init__(self, view: SourceView) -> None:
        self._hunks: dict[str, list[ShownHunk]] = {}
        for file in view.files:
            self._hunks.setdefault(file.path, []).extend(file.hunks)

    def block(self, index: int, claim: Claim) -> str | None:
        """Answer the claim as the verifier reads it, None where no line of its quote is in the file."""
        around = self._around(claim)
        if around is None:
            return None
        said = {
            "path": shown_path(claim.path),
            "side": claim.side.value,
            "quote": [visible(line) for line in mask(claim.quote).split("\n")],
            "severity": claim.severity.value,
            "category": claim.category,
            "title": visible(mask(claim.title)),
            "body": visible(mask(" ".join(claim.body.split()))),
        }
        return f"### claim {index} {json.dumps(said, ensure_ascii=False)}\n{around}"

    def _around(self, claim: Claim) -> str | None:
        other = LineKind.ADDED if claim.side is Side.LEFT else LineKind.REMOVED
        best: tuple[int, ShownHunk, int, int] | None = None
        for wanted in _readings(claim.quote):
            for hunk in self._hunks.get(claim.path, ()):
                keys = ["" if line.kind is other else _key(line.text) for line in hunk.lines]
                for at, key in enumerate(keys):
                    if key != wanted[0]:
                        continue
                    following = set(keys[at : at + 3 * len(wanted)])
                    score = sum(line in following for line in wanted)
                    if best is None or score > best[0]:
                        best = score, hunk, at, len(wanted)
        if best is None:
            return None
        _, hunk, at, length = best
        lines = hunk.lines[max(at - AROUND, 0) : at + length + AROUND]
        return "\n".join(shown_line(line) for line in lines if len(line.text) <= MAX_LINE)[:_MAX_CHARACTERS]


def _readings(quote: str) -> list[list[str]]:
    """The non-blank lines of a quote, as they are and, where each begins with one, without the marks of a diff."""
    lines = [line for line in quote.split("\n") if line.strip()]
    ways = [lines, [line[1:] for line in lines] if all(line[0] in "+- " for line in lines) else []]
    keyed = [[key for line in way if (key := _key(line))] for way in ways]
    return [way for way in keyed if way]


def _key(line: str) -> str:
    return " ".join(line.split())
