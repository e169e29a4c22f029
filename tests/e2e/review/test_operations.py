"""What operators do: see what is wrong, mend it, have it handled again; by REST and by the command line."""

import asyncio
import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from lintel.events.v1 import pull_request_pb2

from emulators.github import GitHubEmulator, deliver, make_delivery
from services.kit.bus.wire import PULL_REQUEST_CHANGED, seal
from services.kit.postgres import inbox
from services.kit.postgres.pool import Database
from services.review import consumers
from services.webhooks import deliveries
from tests.e2e.review.steps import BAD, open_pull, send
from tests.support.postgres import Database as OneDatabase
from tests.support.system import SECRET, Repository, System, until

ROOT = Path(__file__).resolve().parents[3]


async def lintel(system: System, *words: str) -> tuple[int, str, str]:
    """Run the command line against the system."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos/gen'}",
        "LINTEL_URL": f"http://{system.grpc_address}",
        "LINTEL_TOKEN": system.key,
        "LINTEL_STATE_DIR": str(system.run_dir / "state"),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", *words, env=environment, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def get(system: System, path: str, **query: str) -> Any:
    answer = await system.api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_bug_is_seen_mended_and_replayed_to_exactly_one_review(
    system: System, emulator: GitHubEmulator, repository: Repository
) -> None:
    with pytest.MonkeyPatch.context() as patch:

        def buggy(row: Any) -> Any:
            raise ZeroDivisionError("a secret of the body")

        patch.setattr(deliveries, "_parse", buggy)
        number = await open_pull(emulator, repository, {"tool.py": BAD})
        assert await send(system, emulator, "opened", number) == 202
        await system.settled()
        rubbish = make_delivery("pull_request", b"{", secret=SECRET)
        assert (await deliver(system.github_webhook, rubbish)).status == 202
        await system.settled()
    listed = (await get(system, "/webhook-health/dead-letters"))["deadLetters"]
    assert [(d["kind"], d["topic"], d["host"], d["attempts"]) for d in listed] == [
        ("delivery", "pull_request", "github", 1)
    ] * 2
    assert {d["reason"] for d in listed} == {"internal error (ZeroDivisionError)"}
    (health,) = (await get(system, "/webhook-health"))["repositories"]
    assert (health["host"], health["repository"]) == ("github", "")
    assert [(f["kind"], f["count"]) for f in health["failures"]] == [("delivery", 2)]
    status, out, err = await lintel(system, "dead-letters", "replay", "--all")
    assert (status, out.count("is handled again")) == (0, 2), err
    await until(lambda: is_published(system))
    assert len(emulator.reviews(number)) == 1
    (left,) = (await get(system, "/webhook-health/dead-letters"))["deadLetters"]  # the rubbish is none the better
    assert left["reason"] == "the body is not valid JSON at character 1"
    good, bad = listed[1]["id"], left["id"]
    again = await system.api.post(f"/webhook-health/dead-letters/{good}/replay")
    assert (again.status_code, again.json()["reason"]) == (400, "WRONG_STATE")
    for unknown in (UUID(int=7), "x"):
        answer = await system.api.post(f"/webhook-health/dead-letters/{unknown}/replay")
        assert answer.status_code == (404 if unknown != "x" else 400)
    once_more = await system.api.post(f"/webhook-health/deliveries/{good}/redeliver")
    assert (once_more.status_code, once_more.json()["state"]) == (202, "received")
    await system.settled()
    assert len(emulator.reviews(number)) == 1
    await shows(system, good, bad)


async def is_published(system: System) -> bool:
    return [state for _, state in await system.runs()] == ["PUBLISHED"]


async def shows(system: System, good: str, bad: str) -> None:
    """The health of a repository, and what the command line shows of its deliveries."""
    unknown, shop = (await get(system, "/webhook-health"))["repositories"]
    assert (unknown["repository"], shop["repository"], shop["failures"]) == ("", "acme/shop", [])
    assert shop["lastDeliveryTime"] >= shop["connectTime"]
    status, out, _ = await lintel(system, "deliveries", "list", "--format", "json")
    assert status == 0
    assert {(d["id"], d["state"], d["repository"]) for d in json.loads(out)["deliveries"]} == {
        (good, "processed", "acme/shop"),
        (bad, "failed", ""),
    }
    _, out, _ = await lintel(system, "deliveries", "list", "--state", "failed")
    head, row = out.splitlines()
    assert head.split()[:3] == ["ARRIVED", "ID", "STATE"] and bad in row and "not valid JSON" in row
    _, out, _ = await lintel(system, "deliveries", "show", good)
    assert "acme/shop" in out and "processed" in out
    status, _, err = await lintel(system, "deliveries", "show", str(UUID(int=7)))
    assert (status, err) == (1, "lintel: There is no such delivery.\n")
    filtered = await get(system, "/webhook-health/deliveries", repository="acme/shop", host="github")
    assert [d["id"] for d in filtered["deliveries"]] == [good]


async def test_what_review_could_not_take_in_is_listed_and_replayed(
    system: System, emulator: GitHubEmulator, repository: Repository, database: OneDatabase
) -> None:
    organization = (await system.rows("SELECT organization_id FROM orgs.organizations"))[0]["organization_id"]
    head = repository.commit({"app.py": "def f():\n    return 1\n"})
    pull = await emulator.open_pull(head, f"{head}^")
    ref = pull_request_pb2.PullRequestRef(
        host="github",
        repository_id=str(repository_id(emulator, pull.number)),
        repository="acme/shop",
        number=pull.number,
    )
    change = pull_request_pb2.PullRequestChanged(ref=ref, action="opened", head_sha=head, base_ref="main")
    event = seal(organization, PULL_REQUEST_CHANGED, change)
    with pytest.MonkeyPatch.context() as patch:

        def buggy(event: Any) -> Any:
            raise ZeroDivisionError

        patch.setattr(consumers, "to_change", buggy)
        async with Database(database.app_dsn, "review") as review:
            await inbox.acceptor(review, "review")([event])
            for _ in range(2):  # the same message again, as an outbox sends it
                await inbox.rejecter(review, "review")("lintel.review", b"\xff rubbish", "not an envelope")

        async def is_dead() -> bool:
            await system.owner.execute("UPDATE review.inbox SET available_at = clock_timestamp() WHERE NOT is_claimed")
            return bool(await system.owner.fetchval("SELECT count(*) = 2 FROM review.inbox WHERE state = 'DEAD'"))

        await until(is_dead)
    found = await get(system, "/webhook-health/dead-letters", pageSize="1")
    rest = await get(system, "/webhook-health/dead-letters", pageSize="1", pageToken=found["nextPageToken"])
    letters = {d["kind"]: d for d in (*found["deadLetters"], *rest["deadLetters"])}
    assert rest["nextPageToken"] == ""
    assert (letters["event"]["reason"], letters["event"]["attempts"]) == ("ZeroDivisionError", 8)
    assert (letters["message"]["topic"], letters["message"]["reason"]) == ("lintel.review", "not an envelope")
    status, out, err = await lintel(system, "dead-letters", "replay", letters["event"]["id"], letters["message"]["id"])
    assert (status, out.count("is handled again")) == (0, 2), err
    await until(lambda: is_published(system))
    assert len(emulator.reviews(pull.number)) == 1
    _, out, _ = await lintel(system, "dead-letters", "list")
    assert letters["message"]["id"] in out and letters["event"]["id"] not in out


def repository_id(emulator: GitHubEmulator, number: int) -> int:
    payload = emulator.webhook_payload("opened", number)
    return int(payload["repository"]["id"])


async def test_a_lost_webhook_costs_time_only(system: System, emulator: GitHubEmulator, repository: Repository) -> None:
    old = repository.commit({"old.py": "x = 1\n"})
    await emulator.open_pull(old, f"{old}^", number=70)  # open before the repository is connected
    first = await open_pull(emulator, repository, {"tool.py": BAD})
    await send(system, emulator, "opened", first)
    await until(lambda: is_published(system))
    lost = repository.commit({"lost.py": "def f():\n    return 1\n"})
    await emulator.open_pull(lost, f"{lost}^", number=80)
    draft = repository.commit({"draft.py": "y = 1\n"})
    await emulator.open_pull(draft, f"{draft}^", number=90, draft=True)
    await swept(system)
    assert await heads_of(system) == {first: 1, 80: 1}
    assert len(emulator.reviews(80)) == 1
    calls = len(emulator.calls("pulls/list"))
    await swept(system)
    assert await heads_of(system) == {first: 1, 80: 1}  # nothing is told twice
    assert len(emulator.calls("pulls/list")) == calls + 1
    pushed = repository.commit({"old.py": "def f():\n    return 2\n"})
    await emulator.set_head(70, pushed)
    emulator.set_draft(90, False)
    await swept(system)
    assert await heads_of(system) == {first: 1, 70: 1, 80: 1, 90: 1}
    emulator.fail("pulls/list", status=403, body={"message": "Resource not accessible by personal access token"})
    await swept(system, "failure_time")
    (shop,) = (await get(system, "/webhook-health"))["repositories"]
    assert [(f["kind"], f["reason"], f["count"]) for f in shop["failures"]] == [
        ("sweep", "Resource not accessible by personal access token", 1)
    ]
    emulator.fail("pulls/list", status=429, headers={"retry-after": "120"})
    await swept(system, "failure_time")
    parked = "SELECT sweep_at - failure_time FROM webhooks.repositories"
    assert await system.owner.fetchval(parked) >= timedelta(seconds=119)
    assert await emulator_is_left_alone(system, emulator)


async def emulator_is_left_alone(system: System, emulator: GitHubEmulator) -> bool:
    """Whether another look within the limit asks the host nothing."""
    calls = len(emulator.calls("pulls/list"))
    await swept(system, "failure_time")
    return len(emulator.calls("pulls/list")) == calls


async def swept(system: System, column: str = "sweep_time") -> None:
    """Have every repository looked at now, and wait until nothing is left to do."""
    began = await system.owner.fetchval("SELECT clock_timestamp()")
    await system.owner.execute("UPDATE webhooks.repositories SET sweep_at = clock_timestamp()")

    async def is_swept() -> bool:
        return bool(await system.owner.fetchval(f"SELECT {column} >= $1 FROM webhooks.repositories", began))

    await until(is_swept)
    await system.settled()


async def heads_of(system: System) -> dict[int, int]:
    rows = await system.rows(
        "SELECT number, count(*) AS runs FROM review.runs JOIN review.pull_requests p ON p.id = pull_request_id "
        "WHERE runs.state = 'PUBLISHED' GROUP BY number ORDER BY number"
    )
    return {row["number"]: row["runs"] for row in rows}
