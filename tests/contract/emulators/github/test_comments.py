"""Inline comments outside a review, replies, and comments on the page."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.github import rules
from tests.contract.emulators.github.conftest import Make
from tests.contract.emulators.github.support import Bench


async def post(bench: Bench, **changes: Any) -> Any:
    body = {"body": "look", "commit_id": bench.history.head, "path": "app.py", "line": 5, **changes}
    sent = {key: value for key, value in body.items() if value is not None}
    return await bench.client.post(f"{bench.api}/comments", json=sent)


async def test_a_comment_is_a_review_of_its_own(bench: Bench) -> None:
    answer = await post(bench)
    assert (answer.status_code, answer.headers["location"]) == (201, answer.json()["url"])
    shape = answer.json()
    assert (shape["line"], shape["side"], shape["position"], shape["subject_type"]) == (5, "RIGHT", 5, "line")
    assert shape["diff_hunk"].split("\n")[-1] == "+five"
    [review] = (await bench.client.get(f"{bench.api}/reviews")).json()
    assert (review["id"], review["state"], review["body"]) == (shape["pull_request_review_id"], "COMMENTED", "")
    url = f"{bench.repo}/pulls/comments/{shape['id']}"
    assert (await bench.client.get(url)).json() == shape
    assert (await bench.client.delete(url)).status_code == 204
    assert (await bench.client.get(url)).status_code == 404
    assert bench.emulator.reviews(1) == []


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"line": 1}, "pull_request_review_thread.line", rules.NOT_IN_DIFF),
        ({"path": "no.py"}, "path", rules.BAD_PATH),
        ({"path": "image.bin"}, "pull_request_review_thread.line", rules.BLANK_HUNK),
        ({"commit_id": "0" * 40}, "commit_id", rules.BAD_COMMIT),
        ({"body": "x" * 65_537}, "body", "body is too long (maximum is 65536 characters)"),
        ({"body": ""}, "body", rules.BLANK_BODY),
        ({"line": None}, "pull_request_review_thread.line", rules.NOT_IN_DIFF),
        ({"subject_type": "file"}, "subject_type", "a comment on a file has no line"),
        ({"subject_type": "file", "line": None, "path": "no"}, "path", rules.BAD_PATH),
    ],
)
async def test_what_the_host_refuses(bench: Bench, changes: dict[str, Any], field: str, message: str) -> None:
    answer = await post(bench, **changes)
    assert (answer.status_code, answer.json()["message"]) == (422, "Validation Failed")
    [error] = answer.json()["errors"]
    assert (error["field"], error["message"]) == (field, message)
    assert bench.emulator.review_comments(1) == []


async def test_a_whole_file_can_be_commented_even_without_patch(bench: Bench) -> None:
    for path in ("image.bin", "app.py"):
        shape = (await post(bench, subject_type="file", line=None, path=path)).json()
        assert (shape["subject_type"], shape["path"], "line" in shape) == ("file", path, False)


async def test_no_single_comment_while_a_review_is_pending(bench: Bench) -> None:
    await bench.review()
    refused = await post(bench)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "user_id")


async def test_replies_go_to_top_level_comments(bench: Bench) -> None:
    parent = (await post(bench)).json()
    url = f"{bench.api}/comments/{parent['id']}/replies"
    reply = (await bench.client.post(url, json={"body": "yes"})).json()
    assert (reply["in_reply_to_id"], reply["line"]) == (parent["id"], 5)
    inline = (await post(bench, in_reply_to=parent["id"], body="and")).json()
    assert inline["in_reply_to_id"] == parent["id"]
    nested = await bench.client.post(f"{bench.api}/comments/{reply['id']}/replies", json={"body": "no"})
    assert nested.status_code == 422
    assert (await bench.client.post(f"{bench.api}/comments/999/replies", json={"body": "no"})).status_code == 404
    assert len(bench.emulator.review_comments(1)) == 3


async def test_comments_are_edited_and_listed(make_bench: Make) -> None:
    now = [1_700_000_000.0]
    bench = await make_bench(clock=lambda: now[0])
    first = (await post(bench, body="first")).json()
    now[0] += 60
    second = (await post(bench, body="second", line=6)).json()
    now[0] += 60
    url = f"{bench.repo}/pulls/comments/{first['id']}"
    assert (await bench.client.patch(url, json={"body": "edited"})).json()["body"] == "edited"
    assert (await bench.client.patch(url, json={"body": ""})).status_code == 422

    async def ids(query: str) -> list[int]:
        return [item["id"] for item in (await bench.client.get(f"{bench.api}/comments{query}")).json()]

    assert await ids("") == [first["id"], second["id"]]
    assert await ids("?sort=updated") == [second["id"], first["id"]]
    assert await ids("?direction=desc") == [second["id"], first["id"]]
    assert await ids("?since=2023-11-14T22:15:00Z") == [first["id"]]
    assert await ids("?per_page=1&page=2") == [second["id"]]


async def test_comments_follow_their_lines_or_become_outdated(bench: Bench) -> None:
    kept = (await post(bench, line=6, start_line=5)).json()["id"]
    left = (await post(bench, line=30, side="LEFT")).json()["id"]

    async def lines() -> dict[int, Any]:
        listed = (await bench.client.get(f"{bench.api}/comments")).json()
        return {item["id"]: (item["line"], item["position"] is None, item["original_line"]) for item in listed}

    await bench.emulator.set_head(1, bench.history.later)
    assert await lines() == {kept: (7, False, 6), left: (30, False, 30)}
    shape = (await bench.client.get(f"{bench.repo}/pulls/comments/{kept}")).json()
    assert (shape["start_line"], shape["commit_id"], shape["original_commit_id"]) == (
        6,
        bench.history.later,
        bench.history.head,
    )
    await bench.emulator.set_head(1, bench.history.first)
    assert await lines() == {kept: (6, False, 6), left: (None, True, 30)}
    await bench.emulator.set_base(1, bench.history.first)
    assert await lines() == {kept: (None, True, 6), left: (None, True, 30)}


async def test_comments_of_the_page(bench: Bench) -> None:
    url = f"{bench.repo}/issues/1/comments"
    created = await bench.client.post(url, json={"body": "hello"})
    assert (created.status_code, created.headers["location"]) == (201, created.json()["url"])
    one = f"{bench.repo}/issues/comments/{created.json()['id']}"
    assert (await bench.client.get(one)).json()["body"] == "hello"
    assert (await bench.client.patch(one, json={"body": "bye"})).json()["body"] == "bye"
    for body in ("", "x" * 65_537):
        assert (await bench.client.patch(one, json={"body": body})).status_code == 422
        assert (await bench.client.post(url, json={"body": body})).status_code == 422
    await bench.client.post(url, json={"body": "x" * 65_536})
    first = await bench.client.get(f"{url}?per_page=1")
    assert first.links["next"]["url"] == first.links["last"]["url"]
    assert (await bench.client.get(bench.api)).json()["comments"] == 2
    assert (await bench.client.delete(one)).status_code == 204
    assert (await bench.client.delete(one)).status_code == 404
    assert (await bench.client.get(f"{bench.repo}/issues/7/comments")).status_code == 404
    assert len(bench.emulator.issue_comments(1)) == 1
