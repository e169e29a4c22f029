"""From a signed webhook to one posted review, through every role, with a code host that refuses what is wrong."""

import asyncio
import json
import time
from datetime import timedelta

import httpx2
import pytest

from emulators.github import GitHubEmulator, deliver, make_delivery
from services.webhooks.hosts.github import client
from tests.e2e.review.steps import BAD, CLEAN, EVERY_BUS, open_pull, send
from tests.support.system import SECRET, TOKEN, Repository, System, until


@EVERY_BUS
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


@EVERY_BUS
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
    system: System,
    emulator: GitHubEmulator,
    repository: Repository,
    headers: dict[str, str],
    operation: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began = client.utc_now()
    hurried = time.monotonic()
    # A minute of the host passes in less than a second of ours.
    monkeypatch.setattr(client, "utc_now", lambda: began + timedelta(seconds=100 * (time.monotonic() - hurried)))
    number = await open_pull(emulator, repository, {"tool.py": BAD})
    emulator.fail(operation, status=429, headers=headers)
    await send(system, emulator, "opened", number)
    await _hurry(system)
    assert len(emulator.reviews(number)) == 1
    (run,) = await system.rows("SELECT errors, waits FROM review.runs")
    assert run["errors"] == 0 and run["waits"] >= 1


async def test_the_edge_wants_a_key_and_says_so(system: System) -> None:
    async with httpx2.AsyncClient(base_url=system.edge_url, trust_env=False) as stranger:
        without = await stranger.get("/codeReview")
        wrong = await stranger.get("/codeReview", headers={"Authorization": "Bearer lintel_" + "x" * 43})
    assert (without.status_code, wrong.status_code) == (401, 401)
    assert without.headers["content-type"] == "application/problem+json"
    assert without.json()["reason"] == "UNAUTHENTICATED"
    unknown = await system.api.get("/codeReview/0192d3a0-0000-7000-8000-000000000000")
    assert unknown.status_code == 404


async def _hurry(system: System) -> None:
    """Wait until everything is settled, letting time pass quickly for what waits for a retry."""

    async def settled() -> bool:
        await system.owner.execute(
            "UPDATE review.runs SET available_at = clock_timestamp() WHERE state = 'QUEUED' AND errors + waits > 0"
        )
        states = {state for _, state in await system.runs()}
        return bool(states) and not states & {"QUEUED", "RUNNING"}

    await until(settled)
    await system.settled()
