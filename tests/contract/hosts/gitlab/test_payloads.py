"""Payloads that nobody here wrote: each parses, or is ignored with a reason."""

import hashlib
import json
from pathlib import Path

import pytest

from services.webhooks.hosts.base import Action, Ignored, ParseError, PullRequestChanged
from services.webhooks.hosts.gitlab.parse import parse
from services.webhooks.hosts.gitlab.verify import event, is_ours

PUBLISHED = Path(__file__).parents[3] / "fixtures" / "gitlab" / "go-gitlab"
FILES = sorted(PUBLISHED.glob("*.json"))
DAMAGED = "group_merge_request"  # as it was published: some of its keys end in a blank


def test_the_files_are_as_they_were_published() -> None:
    listed = dict(line.split()[::-1] for line in (PUBLISHED / "SHA256SUMS").read_text().splitlines())
    assert listed == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in FILES}
    assert len(FILES) == 16


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_published_payload_parses_or_is_ignored(file: Path) -> None:
    body = file.read_bytes()
    parsed = parse({"x-gitlab-event": "Merge Request Hook"}, body, connection_id="c")
    said = json.loads(body)
    if file.stem == DAMAGED:
        assert isinstance(parsed, ParseError) and "target_project_id" in parsed.reason
        return
    if said.get("object_kind") == "merge_request":
        attributes = said["object_attributes"]
        if not isinstance(parsed, PullRequestChanged):
            assert isinstance(parsed, Ignored) and parsed.reason and attributes["action"] not in ("open", "reopen")
            return
        assert parsed.ref.repository == attributes["target"]["path_with_namespace"]
        assert parsed.ref.repository_id == str(attributes["target_project_id"])
        assert (parsed.ref.number, parsed.head_sha) == (attributes["iid"], attributes["last_commit"]["id"])
        assert parsed.action is {"open": Action.OPENED, "merge": Action.CLOSED}.get(attributes["action"], parsed.action)
    else:
        assert isinstance(parsed, Ignored) and parsed.reason


def test_only_merge_requests_are_stored() -> None:
    kinds = ("Merge Request Hook", "Note Hook", "Push Hook", "System Hook", "Emoji Hook")
    assert [is_ours(event({"x-gitlab-event": kind})) for kind in kinds] == [True, False, False, False, False]
