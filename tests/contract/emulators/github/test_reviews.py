"""Reviews: what the host takes, and each rule that it keeps."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.github import Limits, rules
from tests.contract.emulators.github.conftest import Make
from tests.contract.emulators.github.support import Bench


def comment(**changes: Any) -> dict[str, Any]:
    return {"path": "app.py", "body": "look", "line": 5, **changes}


RIGHT_PLACES: list[dict[str, Any]] = [
    {"line": 2},
    {"line": 8},
    {"line": 5, "side": "RIGHT"},
    {"line": 5, "side": "LEFT"},
    {"line": 32},
    {"line": 30, "side": "LEFT"},
    {"line": 33, "side": "LEFT"},
    {"line": 8, "start_line": 2},
    {"line": 8, "start_line": 2, "side": "RIGHT", "start_side": "RIGHT"},
    {"line": 5, "side": "RIGHT", "start_line": 5, "start_side": "LEFT"},
    {"line": 33, "side": "LEFT", "start_line": 27},
    {"path": "crlf.txt", "line": 2},
    {"path": "renamed.py", "line": 8},
    {"path": "gone.py", "line": 2, "side": "LEFT"},
    {"path": "tricky.txt", "line": 6},
    {"path": "lib", "line": 1},
]

WRONG_PLACES: list[tuple[dict[str, Any], str]] = [
    ({"line": 1}, rules.NOT_IN_DIFF),
    ({"line": 9}, rules.NOT_IN_DIFF),
    ({"line": 33}, rules.NOT_IN_DIFF),
    ({"line": 34, "side": "LEFT"}, rules.NOT_IN_DIFF),
    ({"line": 0}, rules.NOT_IN_DIFF),
    ({"line": -3}, rules.NOT_IN_DIFF),
    ({"line": 10_000}, rules.NOT_IN_DIFF),
    ({"path": "latin.txt", "line": 1, "side": "LEFT"}, rules.NOT_IN_DIFF),
    ({"path": "gone.py", "line": 1}, rules.NOT_IN_DIFF),
    ({"path": "crlf.txt", "line": 4}, rules.NOT_IN_DIFF),
    ({"line": 5, "side": "MIDDLE"}, rules.BAD_SIDE),
    ({"line": 5, "side": "right"}, rules.BAD_SIDE),
    ({"line": 28, "start_line": 5}, rules.START_NOT_IN_HUNK),
    ({"line": 5, "start_line": 1}, rules.START_NOT_IN_HUNK),
    ({"line": 5, "start_line": 5}, rules.START_NOT_BEFORE),
    ({"line": 5, "start_line": 6}, rules.START_NOT_BEFORE),
    ({"line": 5, "start_line": 28}, rules.START_NOT_BEFORE),
    ({"line": 5, "side": "LEFT", "start_line": 5, "start_side": "RIGHT"}, rules.START_NOT_BEFORE),
    ({"path": "nowhere.py"}, rules.BAD_PATH),
    ({"path": "only-on-main.txt", "line": 1}, rules.BAD_PATH),
    ({"path": "edited.py", "line": 8}, rules.BAD_PATH),
    ({"path": "./app.py"}, rules.BAD_PATH),
    ({"path": "APP.py"}, rules.BAD_PATH),
    ({"path": "image.bin", "line": 1}, rules.BLANK_HUNK),
    ({"path": "docs/new näme.md", "line": 1}, rules.BLANK_HUNK),
    ({"path": "script.sh", "line": 1}, rules.BLANK_HUNK),
    ({"position": 5}, rules.BAD_POSITION),
    ({"body": ""}, rules.BLANK_BODY),
    ({"body": "x" * 65_537}, "body is too long (maximum is 65536 characters)"),
]


async def test_a_comment_stands_where_the_diff_has_its_line(bench: Bench) -> None:
    for place in RIGHT_PLACES:
        answer = await bench.review(event="COMMENT", body="sum", comments=[comment(**place)])
        assert answer.status_code == 200, (place, answer.text)
        [shape] = (await bench.client.get(f"{bench.api}/reviews/{answer.json()['id']}/comments")).json()
        expected = comment(**place)
        assert {key: shape[key] for key in expected} == expected
        assert shape["side"] == place.get("side", "RIGHT")
    bench.emulator.check()


async def test_one_bad_comment_refuses_the_review(bench: Bench) -> None:
    for place, message in WRONG_PLACES:
        answer = await bench.review(event="COMMENT", body="sum", comments=[comment(), comment(**place)])
        assert (answer.status_code, answer.json()["message"]) == (422, "Unprocessable Entity"), place
        assert answer.json()["errors"] == [message], place
        assert bench.emulator.reviews(1) == bench.emulator.reviews(1, pending=True) == []
        assert bench.emulator.review_comments(1) == []


async def test_a_comment_without_any_place_is_refused(bench: Bench) -> None:
    for place in ({}, {"start_line": 5}):
        answer = await bench.review(comments=[{"path": "app.py", "body": "x", **place}])
        assert (answer.status_code, answer.json()["errors"]) == (422, [rules.NOT_IN_DIFF])


async def test_positions_still_work(bench: Bench) -> None:
    good = await bench.review(event="COMMENT", body="s", comments=[{"path": "app.py", "body": "x", "position": 4}])
    assert good.status_code == 200
    placed = bench.emulator.review_comments(1)[0].anchor
    assert placed is not None
    assert (placed.side, placed.line, placed.position) == ("LEFT", 5, 4)
    for position in (0, 9, 99):
        bad = await bench.review(comments=[{"path": "app.py", "body": "x", "position": position}])
        assert (bad.status_code, bad.json()["errors"]) == (422, [rules.BAD_POSITION]), position


async def test_several_complaints_come_as_one_text(bench: Bench) -> None:
    answer = await bench.review(comments=[comment(line=1), comment(path="no"), comment(line=1)])
    assert answer.json()["errors"] == [f"{rules.NOT_IN_DIFF} and {rules.BAD_PATH}"]


async def test_files_too_large_for_a_patch_take_no_comment(make_bench: Make) -> None:
    bench = await make_bench(Limits(file_lines=10))
    answer = await bench.review(comments=[comment()])
    assert (answer.status_code, answer.json()["errors"]) == (422, [rules.BLANK_HUNK])


async def test_a_pending_review_is_its_author_s_alone_until_submitted(bench: Bench) -> None:
    bench.emulator.add_user("colleague", "other-token")
    other = bench.as_user("other-token")
    created = (await bench.review(commit_id=bench.history.head, comments=[comment()])).json()
    assert (created["state"], "submitted_at" in created) == ("PENDING", False)
    url = f"{bench.api}/reviews/{created['id']}"
    for path in (url, f"{url}/comments"):
        assert (await bench.client.get(path, headers=other)).status_code == 404
        assert (await bench.client.get(path)).status_code == 200
    assert (await bench.client.put(url, json={"body": "x"}, headers=other)).status_code == 404
    assert (await bench.client.get(f"{bench.api}/reviews", headers=other)).json() == []
    assert (await bench.client.get(f"{bench.api}/comments", headers=other)).json() == []
    assert (await bench.client.get(bench.api, headers=other)).json()["review_comments"] == 0
    assert len((await bench.client.get(f"{bench.api}/reviews")).json()) == 1

    submitted = await bench.client.post(f"{url}/events", json={"event": "COMMENT", "body": "summary"})
    assert (submitted.json()["state"], submitted.json()["body"]) == ("COMMENTED", "summary")
    assert "submitted_at" in submitted.json()
    assert len((await bench.client.get(f"{bench.api}/comments", headers=other)).json()) == 1
    again = await bench.client.post(f"{url}/events", json={"event": "COMMENT", "body": "summary"})
    assert again.status_code == 422
    bench.emulator.check()


async def test_one_pending_review_per_user_and_pull_request(bench: Bench) -> None:
    bench.emulator.add_user("colleague", "other-token")
    assert (await bench.review()).status_code == 200
    second = await bench.review(event="COMMENT", body="x")
    assert (second.status_code, second.json()["errors"]) == (422, [rules.ONE_PENDING])
    other = await bench.client.post(f"{bench.api}/reviews", json={}, headers=bench.as_user("other-token"))
    assert other.status_code == 200
    elsewhere = await bench.emulator.open_pull(bench.history.first, bench.history.base)
    assert (await bench.client.post(f"{bench.repo}/pulls/{elsewhere.number}/reviews", json={})).status_code == 200
    assert len(bench.emulator.reviews(1, pending=True)) == 2


async def test_a_pending_review_can_be_deleted_once(bench: Bench) -> None:
    bench.emulator.add_user("colleague", "other-token")
    url = f"{bench.api}/reviews/{(await bench.review(comments=[comment()])).json()['id']}"
    assert (await bench.client.delete(url, headers=bench.as_user("other-token"))).status_code == 404
    assert (await bench.client.delete(url)).json()["state"] == "PENDING"
    assert (await bench.client.delete(url)).status_code == 404
    assert bench.emulator.review_comments(1) == []
    posted = (await bench.review(event="COMMENT", body="x")).json()
    refused = await bench.client.delete(f"{bench.api}/reviews/{posted['id']}")
    assert (refused.status_code, len(bench.emulator.reviews(1))) == (422, 1)


async def test_the_text_can_be_edited_by_its_author(bench: Bench) -> None:
    bench.emulator.add_user("colleague", "other-token")
    url = f"{bench.api}/reviews/{(await bench.review(event='COMMENT', body='first')).json()['id']}"
    assert (await bench.client.put(url, json={"body": "second"})).json()["body"] == "second"
    assert (await bench.client.get(url)).json()["body"] == "second"
    assert (await bench.client.put(url, json={"body": "mine"}, headers=bench.as_user("other-token"))).status_code == 403
    for text in ("", "x" * 65_537):
        assert (await bench.client.put(url, json={"body": text})).status_code == 422
    assert (await bench.client.put(url, json={"body": "ä" * 65_536})).status_code == 200


@pytest.mark.parametrize("event", ["COMMENT", "REQUEST_CHANGES"])
async def test_a_verdict_needs_a_text(bench: Bench, event: str) -> None:
    for body in ({}, {"body": ""}, {"body": " \n"}):
        answer = await bench.review(event=event, **body)
        assert (answer.status_code, answer.json()["errors"]) == (422, [rules.BLANK_BODY])
    pending = (await bench.review(body="kept")).json()
    url = f"{bench.api}/reviews/{pending['id']}/events"
    assert (await bench.client.post(url, json={"event": event, "body": ""})).status_code == 422
    assert (await bench.client.post(url, json={"event": event})).json()["body"] == "kept"


async def test_an_approval_needs_no_text(bench: Bench) -> None:
    assert (await bench.review(event="APPROVE")).json()["state"] == "APPROVED"


async def test_nobody_judges_their_own_pull_request(bench: Bench) -> None:
    own = await bench.emulator.open_pull(bench.history.head, "main", author=bench.emulator.bot)
    url = f"{bench.repo}/pulls/{own.number}/reviews"
    for event in ("APPROVE", "REQUEST_CHANGES"):
        answer = await bench.client.post(url, json={"event": event, "body": "x"})
        assert answer.status_code == 422
        assert "your own pull request" in answer.json()["errors"][0]
    assert (await bench.client.post(url, json={"event": "COMMENT", "body": "x"})).status_code == 200


async def test_commit_must_be_part_of_the_pull_request(bench: Bench) -> None:
    older = await bench.review(commit_id=bench.history.first, event="COMMENT", body="x", comments=[comment(line=5)])
    assert older.json()["commit_id"] == bench.history.first
    gone = await bench.review(commit_id=bench.history.first, event="COMMENT", body="x", comments=[comment(line=30)])
    assert gone.json()["errors"] == [rules.NOT_IN_DIFF]
    for commit in (bench.history.base, bench.history.main, bench.history.later, "0" * 40, "topic"):
        answer = await bench.review(commit_id=commit, event="COMMENT", body="x")
        assert (answer.status_code, answer.json()["errors"]) == (422, [rules.BAD_COMMIT])
    await bench.emulator.set_head(1, bench.history.forced)
    forced = await bench.review(commit_id=bench.history.head, event="COMMENT", body="x")
    assert forced.json()["errors"] == [rules.BAD_COMMIT]


async def test_review_text_has_a_limit(bench: Bench) -> None:
    assert (await bench.review(event="COMMENT", body="x" * 65_537)).status_code == 422
    assert (await bench.review(event="COMMENT", body="x" * 65_536)).status_code == 200


async def test_reviews_are_paged_oldest_first(bench: Bench) -> None:
    ids = [(await bench.review(event="COMMENT", body=str(number))).json()["id"] for number in range(3)]
    first = await bench.client.get(f"{bench.api}/reviews?per_page=2")
    second = await bench.client.get(first.links["next"]["url"])
    assert [review["id"] for review in first.json() + second.json()] == ids


async def test_a_review_belongs_to_its_pull_request(bench: Bench) -> None:
    other = await bench.emulator.open_pull(bench.history.first, bench.history.base)
    review = (await bench.review(event="COMMENT", body="x")).json()["id"]
    assert (await bench.client.get(f"{bench.repo}/pulls/{other.number}/reviews/{review}")).status_code == 404
