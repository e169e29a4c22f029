"""A stored GitLab delivery in our words: lenient about what we don't use, strict about what we do."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.webhooks.hosts.base import Action, Ignored, Parsed, ParseError, PullRequestChanged, PullRequestRef
from services.webhooks.hosts.gitlab import verify as signed
from services.webhooks.hosts.payload import MAX_ID, MAX_NUMBER, MAX_REF, SHA, OddError, integer, load, member, text

NAME = "gitlab"
_PART = r"(?!\.{1,2}(?:/|\Z))[\w.+-]{1,255}"  # letters of any script, as GitLab allows
REPOSITORY = re.compile(rf"{_PART}(?:/{_PART}){{1,20}}")  # groups may hold groups
_MAX_NAME = 1024

_ACTIONS = {
    "open": Action.OPENED,
    "reopen": Action.REOPENED,
    "close": Action.CLOSED,
    "merge": Action.CLOSED,
}


def parse(headers: Mapping[str, str], body: bytes, *, connection_id: str = "") -> Parsed:
    """Read a delivery; what is no event of a merge request is ignored with the reason. Never raises."""
    try:
        payload = load(body)
        kind = payload.get("object_kind")
        if kind == "merge_request":
            return _merge_request(payload, connection_id)
        if kind == "note":
            return Ignored(_of_note(payload))
        # Operators may write a template of their own, whose body can be anything.
        return Ignored(f"object_kind {_name(kind)} is not one of ours, or the body is a custom template")
    except OddError as error:
        return ParseError(str(error))


class GitLabWebhooks:
    """GitLab's webhooks behind the port; `now` answers epoch seconds, for signatures that hold for minutes only."""

    kept_headers = frozenset(
        {"content-type", "user-agent", "x-gitlab-event", "x-gitlab-event-uuid", "x-gitlab-webhook-uuid"}
        | {"x-gitlab-instance", "idempotency-key", "webhook-id"}
    )
    event = staticmethod(signed.event)
    delivery_id = staticmethod(signed.delivery_id)
    is_ours = staticmethod(signed.is_ours)
    accepts = staticmethod(signed.accepts)
    parse = staticmethod(parse)

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        """Whether one of the secrets vouches for exactly these bytes. Never raises."""
        return signed.verify(headers, body, secrets, self._now())


def _merge_request(payload: dict[str, Any], connection_id: str) -> Parsed:
    asked = member(payload, "object_attributes")
    if "action" not in asked:
        # The "Test" button sends sample data of a merge request that nobody touched.
        return Ignored("a merge_request event without an action, as the test button sends")
    said = text(asked, "action", 64)
    action = _ACTIONS.get(said) if said != "update" else _of_update(payload, asked)
    if action is None:
        return Ignored(f"merge_request action {said!r} changes nothing for a review")
    head_sha = text(member(asked, "last_commit"), "id", 64)
    if not SHA.fullmatch(head_sha):
        raise OddError("last_commit.id is not the full hash of a commit")
    # `project` is where the hook is; a group's hook names it too, but only `target` is always the merge request's own.
    target = asked.get("target")
    repository = text(
        target if isinstance(target, dict) else member(payload, "project"), "path_with_namespace", _MAX_NAME
    )
    if not REPOSITORY.fullmatch(repository):
        raise OddError("path_with_namespace is not the path of a project")
    project_id = integer(asked, "target_project_id", MAX_ID)
    return PullRequestChanged(
        ref=PullRequestRef(NAME, connection_id, str(project_id), repository, integer(asked, "iid", MAX_NUMBER)),
        action=action,
        head_sha=head_sha,
        base_ref=text(asked, "target_branch", MAX_REF),
        draft=_is_draft(asked),
    )


def _of_update(payload: dict[str, Any], asked: dict[str, Any]) -> Action | None:
    """An update is of the commits only with `oldrev`; else `changes` tells what it is of."""
    if asked.get("oldrev"):
        return Action.SYNCHRONIZED
    changes = payload.get("changes")
    if not isinstance(changes, dict):
        return None
    if isinstance(changes.get("target_branch"), dict):
        return Action.RETARGETED
    # Before GitLab 14 the draft was called work in progress.
    for name in ("draft", "work_in_progress"):
        change = changes.get(name)
        if isinstance(change, dict) and change.get("previous") is True and change.get("current") is False:
            return Action.READY
    return None


def _is_draft(asked: dict[str, Any]) -> bool:
    value = asked.get("draft", asked.get("work_in_progress", False))
    if value not in (True, False, None):
        raise OddError("draft is neither true nor false")
    return bool(value)


def _of_note(payload: dict[str, Any]) -> str:
    note = payload.get("object_attributes")
    note = note if isinstance(note, dict) else {}
    if note.get("system") is True:
        return "a note of GitLab itself"
    if note.get("noteable_type") != "MergeRequest":
        return f"a comment on {_name(note.get('noteable_type'))}, not on a merge request"
    return "a comment on a merge request, which asks nothing of a review"


def _name(value: Any) -> str:
    return repr(value[:64]) if isinstance(value, str) and value.isprintable() else "of no name"
