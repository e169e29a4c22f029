"""The emulator refuses what GitLab refuses; a wrong client can't pass by it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from emulators.gitlab import GitLabEmulator, Limits
from emulators.gitlab.effects import effects
from tests.contract.hosts.github import repository

TOKEN = "glpat-of-the-tests"
REQUEST = "/api/v4/projects/4711/merge_requests/1"


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[GitLabEmulator]:
    async with GitLabEmulator(repository.small(tmp_path / "r").path, "acme/shop", TOKEN) as running:
        await running.open_pull("topic-1", "main")
        yield running


@pytest.fixture
async def api(emulator: GitLabEmulator) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"PRIVATE-TOKEN": TOKEN}
    async with httpx2.AsyncClient(base_url=emulator.url, headers=headers, trust_env=False) as client:
        yield client


def position(emulator: GitLabEmulator, **changes: Any) -> dict[str, Any]:
    now = emulator.pull(1).now
    good = {
        "position_type": "text",
        "base_sha": now.base,
        "start_sha": now.start,
        "head_sha": now.head,
        "old_path": "wide.py",
        "new_path": "wide.py",
        "new_line": 5,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


GOOD: list[dict[str, Any]] = [{}, {"new_line": None, "old_line": 5}, {"new_line": 3, "old_line": 3}]
BAD: list[dict[str, Any]] = [
    {"new_line": 15},
    {"new_line": 3},  # unchanged: both numbers
    {"new_line": 5, "old_line": 5},  # changed: one
    {"new_line": 4, "old_line": 3},
    {"new_line": None},
    {"head_sha": "0" * 40},
    {"old_path": None},
    {"old_path": "other.py"},
    {"new_path": "WIDE.py"},
    {"position_type": "image"},
    {"line": 5},
    {"line_range": {"start": {"line_code": "x_1_1", "type": "new", "new_line": 5}}},
    {"line_range": {name: {"line_code": "x_5_5", "type": "new", "new_line": 5} for name in ("start", "end")}},
]


async def test_positions(emulator: GitLabEmulator, api: httpx2.AsyncClient) -> None:
    for changes in GOOD:
        body = {"note": "x", "position": position(emulator, **changes)}
        assert (await api.post(REQUEST + "/draft_notes", json=body)).status_code == 201, changes
    for changes in BAD:
        body = {"note": "x", "position": position(emulator, **changes)}
        answer = await api.post(REQUEST + "/draft_notes", json=body)
        assert answer.status_code == 400 and "message" in answer.json(), changes
    assert len(emulator.drafts(1)) == len(GOOD)


async def test_requests_that_no_good_client_sends(emulator: GitLabEmulator, api: httpx2.AsyncClient) -> None:
    for path in (REQUEST + "/diffs?per_page=101", REQUEST + "/notes?order=asc", REQUEST + "?page=1"):
        assert (await api.get(path)).status_code == 400, path
    assert (await api.get(REQUEST + "/changes")).status_code == 404
    for body in ({}, {"body": "x"}, {"note": ""}, {"note": "x", "more": 1}, {"note": 1}):
        assert (await api.post(REQUEST + "/draft_notes", json=body)).status_code == 400, body
    form = await api.post(REQUEST + "/draft_notes", data={"note": "x"})
    assert form.status_code == 415
    assert (await api.get("/api/v4/user", headers={"PRIVATE-TOKEN": "wrong"})).status_code == 401
    assert len(emulator.violations) == 10
    with pytest.raises(AssertionError):
        emulator.check()


async def test_lists_come_in_pages(emulator: GitLabEmulator, api: httpx2.AsyncClient) -> None:
    for number in range(3):
        emulator.comment(1, f"note {number}")
    first = await api.get(REQUEST + "/notes?per_page=2&sort=asc")
    assert [note["body"] for note in first.json()] == ["note 0", "note 1"]
    link = first.headers["link"].partition(";")[0].strip("<>")
    assert [note["body"] for note in (await api.get(link)).json()] == ["note 2"]


async def test_limits(tmp_path: Path) -> None:
    limits = Limits(requests_per_minute=4, notes_per_minute=1)
    async with GitLabEmulator(repository.small(tmp_path / "r").path, "acme/shop", TOKEN, limits=limits) as emulator:
        await emulator.open_pull("topic-1", "main")
        headers = {"PRIVATE-TOKEN": TOKEN}
        async with httpx2.AsyncClient(base_url=emulator.url, headers=headers, trust_env=False) as api:
            said = [(await api.post(REQUEST + "/notes", json={"body": "x"})).status_code for _ in range(2)]
            asked = [await api.get("/api/v4/user") for _ in range(3)]
    assert said == [201, 429]
    assert [one.status_code for one in asked] == [200, 200, 429]
    assert asked[2].headers["retry-after"] == "60" and asked[2].headers["ratelimit-remaining"] == "0"


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ("/merge", {"command"}),
        ("text\n/approve now", {"command"}),
        ("~~~\n/close\n~~~", {"command"}),
        ("```\n/close\n```", set()),
        ("&#47;merge", set()),
        ("/usr/bin is no command", set()),
        ("hello @someone", {"mention"}),
        ("`@someone` and @&#8203;someone", set()),
        ("see #1", {"reference"}),
        ("see &amp;1", {"reference"}),
        ("see #&#8203;1", set()),
        ("<b>bold</b>", {"html"}),
        ("<details>\n\n<summary>x</summary>\n\n</details>\n<!-- hidden @x -->", set()),
        ("[x](y)", {"link"}),
    ],
)
def test_effects_of_texts(body: str, kinds: set[str]) -> None:
    assert {kind for kind, _ in effects(body)} == kinds
