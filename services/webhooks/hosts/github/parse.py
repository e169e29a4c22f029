"""A stored GitHub delivery in our words: lenient about what we don't use, strict about what we do."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from services.webhooks.hosts.base import (
    Action,
    Ignored,
    Parsed,
    ParseError,
    PullRequestChanged,
    PullRequestRef,
)
from services.webhooks.hosts.github import verify as signed

NAME = "github"
REPOSITORY = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9_.-]{1,100}/(?!\.{1,2}\Z)[A-Za-z0-9_.-]{1,100}")
SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MAX_REF = 1024
_MAX_NUMBER = 2**31 - 1
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")

_ACTIONS = {
    "opened": Action.OPENED,
    "synchronize": Action.SYNCHRONIZED,
    "reopened": Action.REOPENED,
    "ready_for_review": Action.READY,
    "closed": Action.CLOSED,
}


class _OddError(Exception):
    """The body is not what GitHub sends; the text says where."""


def parse(headers: Mapping[str, str], body: bytes, *, connection_id: str = "") -> Parsed:
    """Read a delivery of an event kind that is ours; any other kind is ignored. Never raises."""
    kind = signed.event(headers)
    if not signed.is_ours(kind):
        return Ignored(f"event {kind or 'without a name'} is not one of ours")
    try:
        payload = _load(_json_bytes(headers, body))
        return _pull_request(payload, connection_id)
    except _OddError as error:
        return ParseError(str(error))


class GitHubWebhooks:
    """GitHub's webhooks behind the port."""

    verify = staticmethod(signed.verify)
    event = staticmethod(signed.event)
    delivery_id = staticmethod(signed.delivery_id)
    is_ours = staticmethod(signed.is_ours)
    accepts = staticmethod(signed.accepts)
    parse = staticmethod(parse)


def _json_bytes(headers: Mapping[str, str], body: bytes) -> bytes:
    if signed.content_type(headers) != "application/x-www-form-urlencoded":
        return body
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=16)
    except ValueError:
        raise _OddError("the form cannot be read") from None
    payloads = [value for name, value in fields if name == "payload"]
    if len(payloads) != 1:
        raise _OddError(f"the form has {len(payloads)} fields named payload instead of one")
    return payloads[0].encode()


def _load(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise _OddError("the body is not UTF-8") from None
    except RecursionError:
        raise _OddError("the JSON is nested too deeply") from None
    except ValueError as error:  # also an integer of more digits than Python reads
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise _OddError(f"the body is not valid JSON{where}") from None
    if not isinstance(value, dict):
        raise _OddError("the JSON is not an object")
    if _SURROGATE_ESCAPE.search(body) and _has_surrogate(value):
        raise _OddError("the JSON holds half a character (a lone surrogate)")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _OddError("the JSON has the same key twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise _OddError(f"the JSON holds {name}, which is no JSON value")


def _has_surrogate(root: Any) -> bool:
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and _SURROGATE.search(value):
            return True
        if isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False


def _pull_request(payload: dict[str, Any], connection_id: str) -> Parsed:
    said = _text(payload, "action", 64)
    action = _ACTIONS.get(said)
    if said == "edited" and _was_retargeted(payload):
        action = Action.RETARGETED
    if action is None:
        return Ignored(f"pull_request action {said!r} changes nothing for a review")
    pull = _object(payload, "pull_request")
    repository = _object(payload, "repository")
    full_name = _text(repository, "full_name", 201)
    if not REPOSITORY.fullmatch(full_name):
        raise _OddError("repository.full_name is not owner/name")
    head_sha = _text(_object(pull, "head"), "sha", 64)
    if not SHA.fullmatch(head_sha):
        raise _OddError("head.sha is not the full hash of a commit")
    draft = pull.get("draft", False)  # payloads from before drafts existed lack it
    if draft not in (True, False, None):
        raise _OddError("draft is neither true nor false")
    number = _integer(pull, "number", _MAX_NUMBER)
    repository_id = str(_integer(repository, "id", 2**63 - 1))
    return PullRequestChanged(
        ref=PullRequestRef(NAME, connection_id, repository_id, full_name, number),
        action=action,
        head_sha=head_sha,
        base_ref=_text(_object(pull, "base"), "ref", _MAX_REF),
        draft=bool(draft),
    )


def _was_retargeted(payload: dict[str, Any]) -> bool:
    changes = payload.get("changes")
    return isinstance(changes, dict) and isinstance(changes.get("base"), dict)


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise _OddError(f"{name} is missing or not an object")
    return value


def _text(parent: dict[str, Any], name: str, longest: int) -> str:
    value = parent.get(name)
    if not isinstance(value, str) or not value:
        raise _OddError(f"{name} is missing or not a text")
    if len(value) > longest or not value.isprintable():
        raise _OddError(f"{name} is too long or holds control characters")
    return value


def _integer(parent: dict[str, Any], name: str, largest: int) -> int:
    value = parent.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= largest:
        raise _OddError(f"{name} is missing or not a positive number")
    return value
