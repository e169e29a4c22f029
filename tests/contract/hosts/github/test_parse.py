"""Deliveries in our words: real payloads, documented edits of them, and every hostile body."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.hosts.base import Action, Ignored, Parsed, ParseError, PullRequestChanged, PullRequestRef
from services.webhooks.hosts.github.parse import parse

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures/github/octokit"
HEADERS = {"x-github-event": "pull_request", "content-type": "application/json"}
HEAD = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"


def read(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def opened() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(read("pull_request.opened.14.json"))
    return value


def parsed(value: Any) -> Parsed:
    return parse(HEADERS, json.dumps(value).encode())


def changed(value: Any) -> PullRequestChanged:
    found = parsed(value)
    assert isinstance(found, PullRequestChanged), found
    return found


def test_the_fixtures_are_the_published_ones() -> None:
    rows = re.findall(r"^\| `(\S+\.json)` \| \d+ \| `([0-9a-f]{64})` \|$", read("SOURCE.md").decode(), re.MULTILINE)
    assert {name for name, _ in rows} == {path.name for path in FIXTURES.glob("*.json")}
    for name, digest in rows:
        assert hashlib.sha256(read(name)).hexdigest() == digest, name


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("pull_request.opened.0.json", Action.OPENED),  # from before several fields existed
        ("pull_request.opened.14.json", Action.OPENED),
        ("pull_request.synchronize.22.json", Action.SYNCHRONIZED),
        ("pull_request.reopened.18.json", Action.REOPENED),
        ("pull_request.ready_for_review.17.json", Action.READY),
        ("pull_request.closed.3.json", Action.CLOSED),
    ],
)
def test_real_payloads(name: str, action: Action) -> None:
    raw = json.loads(read(name))
    found = parse(HEADERS, read(name), connection_id="c1")
    assert found == PullRequestChanged(
        ref=PullRequestRef(
            "github", "c1", str(raw["repository"]["id"]), raw["repository"]["full_name"], raw["pull_request"]["number"]
        ),
        action=action,
        head_sha=raw["pull_request"]["head"]["sha"],
        base_ref=raw["pull_request"]["base"]["ref"],
        draft=raw["pull_request"].get("draft", False),
    )


@pytest.mark.parametrize("name", ["pull_request.converted_to_draft.5.json", "pull_request.labeled.9.json"])
def test_actions_that_ask_nothing_of_us(name: str) -> None:
    found = parse(HEADERS, read(name))
    assert isinstance(found, Ignored) and "changes nothing" in found.reason


def test_other_events_are_ignored() -> None:
    found = parse({**HEADERS, "x-github-event": "ping"}, read("ping.0.json"))
    assert isinstance(found, Ignored)
    assert isinstance(parse({}, b"{}"), Ignored)


def test_a_form_is_read_like_json() -> None:
    body = urlencode({"payload": read("pull_request.opened.14.json").decode()}).encode()
    form = {**HEADERS, "content-type": "application/x-www-form-urlencoded"}
    assert parse(form, body) == parse(HEADERS, read("pull_request.opened.14.json"))
    for odd in (b"", b"payload", b"other=1", b"payload=1&payload=2", b"payload=%zz{", "payload=é".encode()):
        assert isinstance(parse(form, odd), ParseError), odd


def test_edited_counts_only_with_another_base() -> None:
    value = opened() | {"action": "edited"}
    assert isinstance(parsed(value | {"changes": {"title": {"from": "x"}}}), Ignored)
    assert isinstance(parsed(value), Ignored)
    assert changed(value | {"changes": {"base": {"ref": {"from": "x"}}}}).action is Action.RETARGETED


def test_forks_deleted_forks_drafts_and_unknown_fields() -> None:
    value = opened()
    plain = changed(value)
    value["pull_request"]["head"]["repo"]["full_name"] = "someone/fork"
    assert changed(value) == plain
    value["pull_request"]["head"]["repo"] = None
    assert changed(value) == plain
    value["pull_request"]["user"] = None
    value["sender"] = None
    value["pull_request"]["stack"] = {"new": [1, 2]}
    assert changed(value) == plain
    value["pull_request"]["draft"] = True
    assert changed(value).draft
    del value["pull_request"]["draft"]
    assert not changed(value).draft


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        (("action",), None),
        (("action",), 3),
        (("action",), "x" * 65),
        (("pull_request",), None),
        (("pull_request",), []),
        (("pull_request", "number"), "7"),
        (("pull_request", "number"), True),
        (("pull_request", "number"), 0),
        (("pull_request", "number"), 2**31),
        (("pull_request", "number"), 1.5),
        (("pull_request", "draft"), "no"),
        (("pull_request", "head"), None),
        (("pull_request", "head", "sha"), "main"),
        (("pull_request", "head", "sha"), HEAD.upper()),
        (("pull_request", "head", "sha"), HEAD + "\n"),
        (("pull_request", "base", "ref"), ""),
        (("pull_request", "base", "ref"), "a\0b"),
        (("pull_request", "base", "ref"), "r" * 1025),
        (("repository",), "x"),
        (("repository", "id"), -1),
        (("repository", "id"), 2**63),
        (("repository", "full_name"), "no-slash"),
        (("repository", "full_name"), "../x"),
        (("repository", "full_name"), "a/.."),
        (("repository", "full_name"), "a/b/c"),
        (("repository", "full_name"), "a/b?c"),
    ],
)
def test_what_is_used_must_be_right(path: tuple[str, ...], bad: Any) -> None:
    value = opened()
    target = value
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = bad
    found = parsed(value)
    assert isinstance(found, ParseError) and path[-1].split("_")[0] in found.reason


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b'"x"', "not an object"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b'{"a":"\xc3"}', "not UTF-8"),
        (b'{"action":"opened","action":"closed"}', "same key twice"),
        (b'{"a":{"b":1,"b":1}}', "same key twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"\\udfff":1}', "surrogate"),
        (b'{"a":[[["\\uD800x"]]]}', "surrogate"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a":' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"{}", "action is missing"),
    ],
)
def test_hostile_bodies_end_in_a_reason(body: bytes, words: str) -> None:
    found = parse(HEADERS, body)
    assert isinstance(found, ParseError) and words in found.reason


def test_a_character_written_as_two_escapes_is_whole() -> None:
    value = opened()
    value["pull_request"]["title"] = "🙂"
    assert "\\ud83d" in json.dumps(value)
    changed(value)


@given(st.binary(max_size=200))
def test_rubbish_never_raises(body: bytes) -> None:
    assert isinstance(parse(HEADERS, body), ParseError)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5), st.data())
def test_no_value_in_any_used_place_raises(bad: Any, data: st.DataObject) -> None:
    value = opened()
    places = [("action",), ("pull_request",), ("repository",), ("pull_request", "head"), ("repository", "full_name")]
    path = data.draw(st.sampled_from([*places, ("pull_request", "base", "ref"), ("changes",)]))
    target = value
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = bad
    parsed(value)
