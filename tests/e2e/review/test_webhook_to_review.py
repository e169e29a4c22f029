"""From a signed webhook to one posted review, through every role, with a code host that refuses what is wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from emulators.github import GitHubEmulator, deliver, make_delivery
from tests.support.postgres import Database
from tests.support.system import SECRET, TOKEN, Repository, System, running_system, until

CLEAN = "def add(a, b):\n    return a + b\n"
BAD = "import subprocess\n\n\ndef run(name):\n    subprocess.run('ls ' + name, shell=True)\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    made.commit({"app.py": CLEAN, "readme.md": "# Shop\n"}, "start")
    return made


@pytest.fixture
async def emulator(repository: Repository) -> AsyncIterator[GitHubEmulator]:
    async with GitHubEmulator(repository.path, "acme", "shop", TOKEN) as made:
        yield made
        made.check()


@pytest.fixture
async def system(database: Database, emulator: GitHubEmulator) -> AsyncIterator[System]:
    async with running_system(database, emulator) as made:
        yield made


async def open_pull(emulator: GitHubEmulator, repository: Repository, files: dict[str, str | None]) -> int:
    base = repository.git("rev-parse", "HEAD")
    head = repository.commit(files)
    return (await emulator.open_pull(head=head, base=base)).number


async def send(system: System, emulator: GitHubEmulator, action: str, number: int) -> int:
    return (await deliver(system.github_webhook, emulator.webhook(action, number, secret=SECRET))).status


async def test_a_change_is_reviewed_once_at_its_lines(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    assert await send(system, emulator, "opened", number) == 202
    await system.settled()
    (posted,) = emulator.reviews(number)
    assert "finding" in posted.body
    assert "tool.py" in posted.body
    comments = emulator.review_comments(number)
    assert [(c.path, c.anchor and (c.anchor.side, c.anchor.line)) for c in comments] == [("tool.py", ("RIGHT", 5))]

    listed = (await system.api.get("/codeReview")).json()["reviews"]
    assert [(r["state"], r["pullRequestNumber"]) for r in listed] == [("published", number)]
    whole = (await system.api.get(f"/codeReview/{listed[0]['id']}")).json()
    assert whole["findings"][0]["quote"] == "    subprocess.run('ls ' + name, shell=True)"
    assert whole["findings"][0]["side"] == "RIGHT"
    assert whole["receipt"]["files"][0]["path"] == "tool.py"
    assert whole["receipt"]["files"][0]["fate"] == "reviewed"


async def test_a_change_without_findings_gets_a_review_that_says_so(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"app.py": CLEAN + "\n\ndef sub(a, b):\n    return a - b\n"})
    await send(system, emulator, "opened", number)
    await system.settled()
    (posted,) = emulator.reviews(number)
    assert "No findings" in posted.body
    assert emulator.review_comments(number) == []


async def test_the_same_delivery_ten_times_at_once_is_one_review(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    delivery = emulator.webhook("opened", number, secret=SECRET)
    answers = await asyncio.gather(*(deliver(system.github_webhook, delivery) for _ in range(10)))
    assert sorted(a.status for a in answers) == [200] * 9 + [202]
    again = emulator.webhook("opened", number, secret=SECRET)  # another id for the same head
    assert (await deliver(system.github_webhook, again)).status == 202
    await system.settled()
    assert len(emulator.reviews(number)) == 1
    assert len(await system.rows("SELECT FROM webhooks.deliveries")) == 2


async def test_two_pushes_while_a_review_runs_leave_one_review_of_the_newest_head(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    hold = emulator.fail("pulls/list-files", action="stall")
    await send(system, emulator, "opened", number)
    await asyncio.wait_for(hold.reached.wait(), 30)
    for text in ("# one\n", "# two\n"):
        head = repository.commit({"tool.py": BAD + text})
        await emulator.set_head(number, head)
        assert await send(system, emulator, "synchronize", number) == 202
    await until(lambda: _no_delivery_waits(system))
    hold.release()
    await system.settled()
    (posted,) = emulator.reviews(number)
    assert head[:12] in posted.body
    states = await system.runs()
    assert states[-1] == (head, "PUBLISHED")
    assert {state for _, state in states[:-1]} <= {"SUPERSEDED"}


@pytest.mark.parametrize(
    ("operation", "of_old"), [("pulls/create-review", True), ("pulls/list-files", False)], ids=["publishing", "reading"]
)
async def test_a_run_that_must_finish_is_told_to_its_end_while_heads_move(
    system: System, emulator: GitHubEmulator, repository: Repository, operation: str, of_old: bool
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    first = repository.git("rev-parse", "HEAD")
    await system.owner.execute(
        "ALTER TABLE review.pull_requests ALTER superseded_count SET DEFAULT 3"  # as after three pushes in a row
    )
    hold = emulator.fail(operation, action="stall")
    await send(system, emulator, "opened", number)
    await asyncio.wait_for(hold.reached.wait(), 30)
    head = repository.commit({"tool.py": BAD + "# one\n"})
    await emulator.set_head(number, head)
    await send(system, emulator, "synchronize", number)
    await until(lambda: _no_delivery_waits(system))
    hold.release()
    await system.settled()
    # What it has read already is published for the head it has; otherwise it reads, and publishes, the newest one.
    expected = [(first, "PUBLISHED"), (head, "PUBLISHED")] if of_old else [(head, "PUBLISHED"), (head, "SUPERSEDED")]
    assert await system.runs() == expected
    (posted,) = emulator.reviews(number)
    assert head[:12] in posted.body
    assert len(emulator.review_comments(number)) == 1


async def test_a_push_while_publishing_waits_for_a_limit_is_reviewed(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    first = repository.git("rev-parse", "HEAD")
    emulator.fail("pulls/create-review", status=429, headers={"retry-after": "600"})
    await send(system, emulator, "opened", number)
    await until(lambda: _waits(system))
    head = repository.commit({"other.py": BAD.replace("run(", "start(", 1)})
    await emulator.set_head(number, head)
    await send(system, emulator, "synchronize", number)
    await until(lambda: _no_delivery_waits(system))
    assert await system.runs() == [(first, "SUPERSEDED"), (head, "QUEUED")]  # and it waits for the same limit
    await system.owner.execute("UPDATE review.runs SET available_at = clock_timestamp() WHERE state = 'QUEUED'")
    await system.settled()
    assert (await system.runs())[1] == (head, "PUBLISHED")
    (posted,) = emulator.reviews(number)
    assert head[:12] in posted.body
    assert [c.path for c in emulator.review_comments(number)] == ["other.py", "tool.py"]


async def test_a_pull_request_that_is_open_again_is_reviewed_whatever_order_the_events_come_in(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    hold = emulator.fail("pulls/list-files", action="stall")
    await send(system, emulator, "opened", number)
    await asyncio.wait_for(hold.reached.wait(), 30)
    for action in ("reopened", "closed"):  # it was closed and opened again; the host told it the other way round
        await send(system, emulator, action, number)
        await until(lambda: _no_delivery_waits(system))
    hold.release()
    await system.settled()
    assert [state for _, state in await system.runs()] == ["PUBLISHED"]
    assert len(emulator.reviews(number)) == 1


async def test_a_later_head_edits_the_summary_and_adds_only_what_is_new(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    await send(system, emulator, "opened", number)
    await system.settled()
    same = repository.commit({"tool.py": "# moved down\n" + BAD})
    await emulator.set_head(number, same)
    await send(system, emulator, "synchronize", number)
    await system.settled()
    (posted,) = emulator.reviews(number)
    assert same[:12] in posted.body
    assert len(emulator.review_comments(number)) == 1

    more = repository.commit({"other.py": BAD.replace("run(", "start(", 1)})
    await emulator.set_head(number, more)
    await send(system, emulator, "synchronize", number)
    await system.settled()
    assert [c.path for c in emulator.review_comments(number)] == ["tool.py", "other.py"]
    assert more[:12] in emulator.reviews(number)[0].body


@pytest.mark.parametrize("signature", ["sha256=" + "0" * 64, "", "sha256=", "sha1=abc", None], ids=str)
async def test_a_bad_signature_is_401_and_nothing_is_stored(
    system: System, emulator: GitHubEmulator, repository: Repository, signature: str | None
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    delivery = emulator.webhook("opened", number, secret=SECRET).with_signature(signature)
    answer = await deliver(system.github_webhook, delivery)
    assert answer.status == 401
    assert json.loads(answer.body)["reason"] == "SIGNATURE_INVALID"
    assert await system.rows("SELECT FROM webhooks.deliveries") == []


async def test_a_body_over_the_limit_is_413_whatever_its_signature(system: System) -> None:
    answer = await deliver(system.github_webhook, make_delivery("pull_request", b"x" * 26_214_401, secret=SECRET))
    assert answer.status == 413


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b'{"a":1,"a":2}', b"[" * 10_000, b"null", b"{}"], ids=repr)
async def test_a_signed_body_that_cannot_be_parsed_is_kept_and_can_be_replayed(system: System, body: bytes) -> None:
    answer = await deliver(system.github_webhook, make_delivery("pull_request", body, secret=SECRET))
    assert answer.status == 202
    await system.settled()
    (seen,) = (await system.api.get("/webhook-health/deliveries")).json()["deliveries"]
    assert seen["state"] == "failed"
    assert seen["reason"]
    replayed = await system.api.post(f"/webhook-health/deliveries/{seen['id']}/redeliver")
    assert replayed.status_code == 202
    await system.settled()
    assert (await system.api.get(f"/webhook-health/deliveries/{seen['id']}")).json()["state"] == "failed"


async def test_an_event_kind_that_is_not_ours_is_200(system: System) -> None:
    for event in ("ping", "star", "a" * 300, "x y"):
        answer = await deliver(system.github_webhook, make_delivery(event, b"{}", secret=SECRET))
        assert answer.status == 200


async def test_a_redelivery_of_one_that_failed_runs_again(system: System) -> None:
    delivery = make_delivery("pull_request", b"{", secret=SECRET)
    assert (await deliver(system.github_webhook, delivery)).status == 202
    await system.settled()
    assert (await deliver(system.github_webhook, delivery)).status == 202
    await system.settled()
    (row,) = await system.rows("SELECT state, attempts FROM webhooks.deliveries")
    assert tuple(row) == ("FAILED", 1)


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "token"), (403, ""), (404, "")],
)
async def test_a_host_that_refuses_ends_the_run_with_a_reason(
    system: System, emulator: GitHubEmulator, repository: Repository, status: int, words: str
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    emulator.fail("pulls/get", status=status, times=1000)
    await send(system, emulator, "opened", number)
    await system.settled()
    (run,) = await system.rows("SELECT state, state_reason FROM review.runs")
    assert run["state"] == "FAILED"
    assert run["state_reason"]
    assert words in run["state_reason"]
    assert TOKEN not in run["state_reason"]
    assert emulator.reviews(number) == []


@pytest.mark.parametrize("operation", ["pulls/create-review", "pulls/submit-review", "pulls/list-files", "pulls/get"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("status", [500, 502])
async def test_a_host_that_fails_once_gets_one_review_all_the_same(
    system: System, emulator: GitHubEmulator, repository: Repository, operation: str, when: str, status: int
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    emulator.fail(operation, status=status, when="after" if when == "after" else "before")
    await send(system, emulator, "opened", number)
    await _hurry(system)
    assert len(emulator.reviews(number)) == 1
    assert len(emulator.review_comments(number)) == 1
    assert (await system.runs())[0][1] == "PUBLISHED"


@pytest.mark.parametrize("headers", [{"retry-after": "1"}, {}], ids=["retry-after", "no-retry-after"])
@pytest.mark.parametrize("operation", ["pulls/create-review", "pulls/get"])
async def test_a_rate_limit_delays_and_loses_nothing(
    system: System, emulator: GitHubEmulator, repository: Repository, headers: dict[str, str], operation: str
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    emulator.fail(operation, status=429, headers=headers)
    await send(system, emulator, "opened", number)
    await _hurry(system)
    assert len(emulator.reviews(number)) == 1
    (run,) = await system.rows("SELECT errors, waits FROM review.runs")
    assert (run["errors"], run["waits"]) == (0, 1)


async def test_a_closed_pull_request_gets_no_review(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    emulator.close(number)
    late = emulator.webhook("synchronize", number, secret=SECRET)
    assert (await deliver(system.github_webhook, late)).status == 202
    await system.settled()
    assert emulator.reviews(number) == []
    assert {state for _, state in await system.runs()} == {"SUPERSEDED"}


async def test_the_edge_wants_a_key_and_says_so(system: System) -> None:
    async with httpx2.AsyncClient(base_url=system.edge_url, trust_env=False) as stranger:
        without = await stranger.get("/codeReview")
        wrong = await stranger.get("/codeReview", headers={"Authorization": "Bearer lintel_" + "x" * 43})
    assert (without.status_code, wrong.status_code) == (401, 401)
    assert without.headers["content-type"] == "application/problem+json"
    assert without.json()["reason"] == "UNAUTHENTICATED"
    unknown = await system.api.get("/codeReview/0192d3a0-0000-7000-8000-000000000000")
    assert unknown.status_code == 404


async def _no_delivery_waits(system: System) -> bool:
    rows = await system.rows(
        "SELECT FROM webhooks.deliveries WHERE state = 'RECEIVED' UNION ALL "
        "SELECT FROM webhooks.outbox WHERE sent_time IS NULL UNION ALL "
        "SELECT FROM review.inbox WHERE state = 'RECEIVED'"
    )
    return not rows


async def _waits(system: System) -> bool:
    return bool(await system.rows("SELECT FROM review.runs WHERE state = 'QUEUED' AND waits > 0"))


async def _hurry(system: System) -> None:
    """Wait until everything is settled, letting time pass quickly for what waits for a retry."""

    async def settled() -> bool:
        await system.owner.execute(
            "UPDATE review.runs SET available_at = clock_timestamp() WHERE state = 'QUEUED' AND errors + waits > 0"
        )
        return all(state not in ("QUEUED", "RUNNING") for _, state in await system.runs()) and bool(await system.runs())

    await until(settled)
    await system.settled()
