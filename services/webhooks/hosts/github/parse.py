"""A stored GitHub delivery in our words: lenient about what we don't use, strict about what we do."""

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
from services.webhooks.hosts.payload import MAX_ID, MAX_NUMBER, MAX_REF, SHA, OddError, integer, load, member, text

NAME = "github"
REPOSITORY = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9_.-]{1,100}/(?!\.{1,2}\Z)[A-Za-z0-9_.-]{1,100}")

_ACTIONS = {
    "opened": Action.OPENED,
    "synchronize": Action.SYNCHRONIZED,
    "reopened": Action.REOPENED,
    "ready_for_review": Action.READY,
    "closed": Action.CLOSED,
}


def parse(headers: Mapping[str, str], body: bytes, *, connection_id: str = "") -> Parsed:
    """Read a delivery of an event kind that is ours; any other kind is ignored. Never raises."""
    kind = signed.event(headers)
    if not signed.is_ours(kind):
        return Ignored(f"event {kind or 'without a name'} is not one of ours")
    try:
        payload = load(_json_bytes(headers, body))
        return _pull_request(payload, connection_id)
    except OddError as error:
        return ParseError(str(error))


class GitHubWebhooks:
    """GitHub's webhooks behind the port."""

    kept_headers = frozenset({"content-type", "user-agent", "x-github-event", "x-github-delivery", "x-github-hook-id"})
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
        raise OddError("the form cannot be read") from None
    payloads = [value for name, value in fields if name == "payload"]
    if len(payloads) != 1:
        raise OddError(f"the form has {len(payloads)} fields named payload instead of one")
    return payloads[0].encode()


def _pull_request(payload: dict[str, Any], connection_id: str) -> Parsed:
    said = text(payload, "action", 64)
    action = _ACTIONS.get(said)
    if said == "edited" and _was_retargeted(payload):
        action = Action.RETARGETED
    if action is None:
        return Ignored(f"pull_request action {said!r} changes nothing for a review")
    pull = member(payload, "pull_request")
    repository = member(payload, "repository")
    full_name = text(repository, "full_name", 201)
    if not REPOSITORY.fullmatch(full_name):
        raise OddError("repository.full_name is not owner/name")
    head_sha = text(member(pull, "head"), "sha", 64)
    if not SHA.fullmatch(head_sha):
        raise OddError("head.sha is not the full hash of a commit")
    draft = pull.get("draft", False)  # payloads from before drafts existed lack it
    if draft not in (True, False, None):
        raise OddError("draft is neither true nor false")
    number = integer(pull, "number", MAX_NUMBER)
    repository_id = str(integer(repository, "id", MAX_ID))
    return PullRequestChanged(
        ref=PullRequestRef(NAME, connection_id, repository_id, full_name, number),
        action=action,
        head_sha=head_sha,
        base_ref=text(member(pull, "base"), "ref", MAX_REF),
        draft=bool(draft),
    )


def _was_retargeted(payload: dict[str, Any]) -> bool:
    changes = payload.get("changes")
    return isinstance(changes, dict) and isinstance(changes.get("base"), dict)
