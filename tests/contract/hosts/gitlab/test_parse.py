"""What each event of a merge request means to us."""

import json
from typing import Any

import pytest

from services.webhooks.hosts.base import Action, Ignored, ParseError, PullRequestChanged
from services.webhooks.hosts.gitlab.parse import parse

SHA = "d" * 40


def payload(action: str | None = "open", changes: dict[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    """Ours, with the fields of GitLab's pages on webhooks that are read."""
    value: dict[str, Any] = {
        "object_kind": "merge_request",
        "project": {"id": 7, "path_with_namespace": "group/sub.group/pro-ject"},
        "object_attributes": {
            "iid": 3,
            "target_project_id": 7,
            "target_branch": "main",
            "last_commit": {"id": SHA},
            "draft": False,
            **({"action": action} if action else {}),
            **attributes,
        },
    }
    return value if changes is None else value | {"changes": changes}


def parsed(value: Any) -> Any:
    return parse({}, json.dumps(value).encode(), connection_id="c")


@pytest.mark.parametrize(
    ("value", "action"),
    [
        (payload("open"), Action.OPENED),
        (payload("reopen"), Action.REOPENED),
        (payload("close"), Action.CLOSED),
        (payload("merge"), Action.CLOSED),
        (payload("update", oldrev=SHA), Action.SYNCHRONIZED),
        (payload("update", {"draft": {"previous": True, "current": False}}), Action.READY),
        (payload("update", {"work_in_progress": {"previous": True, "current": False}}), Action.READY),
        (payload("update", {"target_branch": {"previous": "a", "current": "b"}}), Action.RETARGETED),
    ],
)
def test_what_asks_for_a_review_or_ends_one(value: dict[str, Any], action: Action) -> None:
    found = parsed(value)
    assert isinstance(found, PullRequestChanged)
    assert (found.action, found.head_sha, found.base_ref, found.draft) == (action, SHA, "main", False)
    ref = found.ref
    assert (ref.host, ref.connection_id, ref.repository_id) == ("gitlab", "c", "7")
    assert (ref.repository, ref.number) == ("group/sub.group/pro-ject", 3)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (payload("update"), "update"),
        (payload("update", {}), "update"),
        (payload("update", {"draft": {"previous": False, "current": True}}), "update"),
        (payload("update", {"title": {"previous": "a", "current": "b"}}, system=True), "update"),
        (payload("approved"), "approved"),
        (payload(None), "test button"),
        ({"object_kind": "note", "object_attributes": {"noteable_type": "MergeRequest"}}, "comment"),
        ({"object_kind": "note", "object_attributes": {"noteable_type": "Issue"}}, "Issue"),
        ({"object_kind": "note", "object_attributes": {"noteable_type": "MergeRequest", "system": True}}, "itself"),
        ({"object_kind": "note"}, "comment"),
        ({"object_kind": ["push"]}, "object_kind"),
        ({"anything": "of a template"}, "template"),
    ],
)
def test_what_asks_nothing_is_ignored_with_the_reason(value: dict[str, Any], words: str) -> None:
    found = parsed(value)
    assert isinstance(found, Ignored) and words in found.reason


@pytest.mark.parametrize(
    "value",
    [
        payload(iid=0),
        payload(iid=True),
        payload(iid="1"),
        payload(target_project_id=None),
        payload(last_commit=None),
        payload(last_commit={"id": "abc"}),
        payload(target_branch="a\nb"),
        payload(draft="yes"),
        payload(target={"path_with_namespace": "../x"}),
        payload(target={"path_with_namespace": "alone"}),
        payload(target={"path_with_namespace": "a/b?c"}),
        payload() | {"object_attributes": []},
    ],
)
def test_what_cannot_be_understood_says_where(value: dict[str, Any]) -> None:
    found = parsed(value)
    assert isinstance(found, ParseError) and found.reason


def test_a_draft_is_said_to_be_one() -> None:
    assert parsed(payload(draft=True)).draft
    assert not parsed(payload(draft=None)).draft
