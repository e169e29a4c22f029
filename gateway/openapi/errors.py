"""What the document says of failures: which statuses an operation may answer, and for which reasons."""

from collections import defaultdict
from functools import cache
from typing import Any

from gateway.openapi.comments import comments
from gateway.problems import http_status
from gateway.transcode.rules import Rule
from services.kit.errors import Reason

_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 1}}
}
_ALWAYS = (400, 429, 500, 503, 504)


@cache
def reasons() -> dict[int, tuple[Reason, ...]]:
    """Answer the reasons of the catalogue by the HTTP status they are answered with."""
    found: dict[int, list[Reason]] = defaultdict(list)
    for reason in Reason:
        found[http_status(reason)].append(reason)
    return {status: tuple(found[status]) for status in sorted(found)}


def error_responses(rule: Rule) -> dict[str, Any]:
    """Answer the failures of an operation, by status; `default` stands for what a later release adds."""
    statuses = {*_ALWAYS}
    if not rule.is_open:
        statuses |= {401, 403}
    if rule.variables:
        statuses.add(404)
    if rule.verb != "GET":
        statuses.add(409)
    if rule.body:
        statuses |= {408, 413, 415}
    found = {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(statuses)}
    return found | {"default": {"$ref": "#/components/responses/Problem"}}


def problem_responses() -> dict[str, Any]:
    """Answer the components that `error_responses` refers to."""
    found = {"Problem": _response(f"What went wrong: one of {len(Reason)} reasons.")}
    for status, of_status in reasons().items():
        told = " ".join(f"`{r.value}`: {meaning(r)}" for r in of_status)
        response = _response(told)
        if status in (429, 503):
            response["headers"] = _RETRY_AFTER
        found[f"Problem{status}"] = response
    return found


def meaning(reason: Reason) -> str:
    """Answer what the catalogue says of a reason."""
    return comments().get(f"lintel.common.v1.ErrorReason.ERROR_REASON_{reason.value}", "")


def _response(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}
