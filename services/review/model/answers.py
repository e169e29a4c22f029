"""Reads what a model answered: claims and verdicts, each part checked, the unusable left out and counted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.kit.diff.model import Side
from services.review.domain import Claim, Severity, Source, SourceKind
from services.review.model.fence import has_escapes, original
from services.review.model.strict_json import InvalidAnswerError, parse
from services.review.model.templates import CATEGORIES, MAX_BODY, MAX_FINDINGS, MAX_QUOTE_LINES, MAX_TITLE

CONFIDENCE = 0.7  # of a claim that the verifier could not refute: less than what an analyzer proves
_MAX_QUOTE, _MAX_PATH = 8000, 4096
_TEXTS = ("path", "side", "quote", "severity", "category", "title", "body")


@dataclass(frozen=True, slots=True)
class Claims:
    """The usable claims of one answer, the gravest first; `malformed` and `over_limit` count the others."""

    claims: tuple[Claim, ...]
    malformed: int
    over_limit: int


def read_claims(text: str, paths: Mapping[str, str], model: str) -> Claims:
    """Read the answer to the review prompt; raises InvalidAnswerError where nothing of it can be used."""
    items = _list(parse(text), "findings")
    source = Source(SourceKind.MODEL, "model", model=model)
    found = [claim for item in items if (claim := _claim(item, paths, source)) is not None]
    if items and not found:
        raise InvalidAnswerError("no finding has the fields and the values that were asked for")
    ranked = sorted(found, key=lambda claim: -claim.severity.rank)
    return Claims(tuple(ranked[:MAX_FINDINGS]), len(items) - len(found), max(len(ranked) - MAX_FINDINGS, 0))


def read_verdicts(text: str, count: int) -> list[bool]:
    """Read the answer to the verify prompt: whether each of `count` claims is kept; raises InvalidAnswerError."""
    verdicts: dict[int, bool] = {}
    for item in _list(parse(text), "verdicts"):
        index = item.get("index") if isinstance(item, dict) else None
        keep = item.get("keep") if isinstance(item, dict) else None
        if not isinstance(index, int) or isinstance(index, bool) or not isinstance(keep, bool):
            raise InvalidAnswerError("a verdict needs an integer `index` and a boolean `keep`")
        if not 0 <= index < count:
            raise InvalidAnswerError(f"a verdict is about a claim that there is not: they are 0 to {count - 1}")
        if verdicts.setdefault(index, keep) is not keep:
            raise InvalidAnswerError("two verdicts about one claim contradict each other")
    if len(verdicts) != count:
        raise InvalidAnswerError(f"{count - len(verdicts)} of {count} claims have no verdict")
    return [verdicts[index] for index in range(count)]


def _list(value: Any, name: str) -> list[Any]:
    items = value.get(name) if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise InvalidAnswerError(f'not an object with a list "{name}"')
    return items


def _claim(item: Any, paths: Mapping[str, str], source: Source) -> Claim | None:
    if not isinstance(item, dict):
        return None
    text = {name: value for name in _TEXTS if isinstance(value := item.get(name), str) and value.strip()}
    if len(text) != len(_TEXTS):
        return None
    replacement = item.get("replacement")
    if replacement is not None and not isinstance(replacement, str):
        return None
    severity, category = text["severity"].strip().lower(), text["category"].strip().lower()
    if text["side"] not in list(Side) or severity not in list(Severity) or category not in CATEGORIES:
        return None
    quote, path = text["quote"].strip("\n"), text["path"]
    if len(quote) > _MAX_QUOTE or len(path) > _MAX_PATH:
        return None
    lines = quote.split("\n")
    claim = Claim(
        path=_clean(paths.get(path, path)),
        side=Side(text["side"]),
        quote=_clean(original("\n".join(lines[:MAX_QUOTE_LINES]))),
        severity=Severity(severity),
        category=category,
        title=_cut(" ".join(_clean(text["title"]).split()), MAX_TITLE),
        body=_cut(_clean(text["body"]).strip(), MAX_BODY),
        source=source,
        confidence=CONFIDENCE,
    )
    return replace(claim, replacement=_replacement(replacement, claim, whole=len(lines) <= MAX_QUOTE_LINES))


def _replacement(text: str | None, claim: Claim, *, whole: bool) -> str | None:
    """A suggestion for the whole quote on the new side, if nothing in it was masked or escaped."""
    if text is None or not whole or claim.side is Side.LEFT or len(text) > _MAX_QUOTE:
        return None
    if has_escapes(text) or "[masked:" in text:
        return None
    return _clean(text)


def _clean(text: str) -> str:
    """Make text storable: halves of characters and NUL become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
