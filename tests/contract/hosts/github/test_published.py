"""Every payload of `@octokit/webhooks-examples`, as if GitHub had sent it: signed, then parsed or ignored."""

import hashlib
import hmac
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from services.webhooks.hosts.base import Action, Ignored, ParseError, PullRequestChanged
from services.webhooks.hosts.github.parse import GitHubWebhooks

ARCHIVE = Path(__file__).parents[3] / "fixtures" / "github" / "octokit" / "octokit-webhooks-examples-7.6.1.tgz"
SHA256 = "89e6cb1c6345d32e3dd775617fa54effbdc26c859e514898d7728e95e9738280"
SECRET = "of-the" + "-test"
DELIVERY = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
# By hand from the payloads' own `action`: what wakes a review, and how often it is there.
AWAKE = {
    "api.github.com": {
        Action.OPENED: 4,
        Action.SYNCHRONIZED: 1,
        Action.REOPENED: 2,
        Action.READY: 3,
        Action.CLOSED: 2,
    },
    "ghes-31": {Action.OPENED: 1},
    "ghes-32": {Action.OPENED: 1},
    "ghes-33": {Action.OPENED: 1},
    "ghes-34": {Action.OPENED: 2, Action.CLOSED: 1},
    "ghes-35": {Action.OPENED: 2, Action.CLOSED: 1},
}
COUNTS = {"api.github.com": 329, "ghes-31": 49, "ghes-32": 49, "ghes-33": 50, "ghes-34": 124, "ghes-35": 125}


@cache
def published(edition: str) -> list[dict[str, Any]]:
    with tarfile.open(ARCHIVE) as archive:
        file = archive.extractfile(f"package/{edition}/index.json")
        assert file is not None
        events: list[dict[str, Any]] = json.load(file)
    return events


def payloads(edition: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for event in published(edition):
        for example in event["examples"]:
            yield event["name"], example


def test_the_archive_is_the_published_one() -> None:
    assert hashlib.sha256(ARCHIVE.read_bytes()).hexdigest() == SHA256


@pytest.mark.parametrize("edition", COUNTS)
def test_every_payload_is_stored_and_parses_or_is_ignored_with_a_reason(edition: str) -> None:
    github, awake, seen = GitHubWebhooks(), Counter[Action](), 0
    for kind, payload in payloads(edition):
        seen += 1
        body = json.dumps(payload, ensure_ascii=False).encode()
        signature = hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()
        headers = {
            "content-type": "application/json",
            "x-github-event": kind,
            "x-github-delivery": DELIVERY,
            "x-hub-signature-256": f"sha256={signature}",
        }
        assert github.accepts(headers) and github.verify(headers, body, [SECRET])
        assert not github.verify(headers, body + b" ", [SECRET])
        assert (github.event(headers), github.delivery_id(headers)) == (kind, DELIVERY)
        assert github.is_ours(kind) is (kind == "pull_request")
        parsed = github.parse(headers, body)
        assert not isinstance(parsed, ParseError), (kind, parsed)
        if isinstance(parsed, Ignored):
            assert parsed.reason
            continue
        assert isinstance(parsed, PullRequestChanged)
        assert kind == "pull_request"
        pull = payload["pull_request"]
        assert (parsed.ref.repository, parsed.ref.number) == (payload["repository"]["full_name"], pull["number"])
        assert parsed.ref.repository_id == str(payload["repository"]["id"])
        assert (parsed.head_sha, parsed.base_ref) == (pull["head"]["sha"], pull["base"]["ref"])
        assert parsed.draft is bool(pull.get("draft"))
        awake[parsed.action] += 1
    assert seen == COUNTS[edition]
    assert awake == AWAKE[edition]


@pytest.mark.parametrize("edition", COUNTS)
def test_a_payload_under_the_wrong_event_name_is_told_and_wakes_nothing(edition: str) -> None:
    """A proxy that mixes up headers: the body decides, and nothing but a pull request passes for one."""
    github = GitHubWebhooks()
    headers = {"content-type": "application/json", "x-github-event": "pull_request"}
    for kind, payload in payloads(edition):
        if kind == "pull_request":
            continue
        parsed = github.parse(headers, json.dumps(payload).encode())
        whole = "pull_request" in payload and "number" in payload.get("pull_request", {})
        assert whole or not isinstance(parsed, PullRequestChanged), kind
        assert isinstance(parsed, PullRequestChanged) or parsed.reason
