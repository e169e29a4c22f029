"""One suite for every host: from a signed webhook to one posted review, and through all that can go wrong between.

Inputs are those of table D of the protocol facts that a host can send; each test names what must be there at rest.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.webhooks.hosts import ADAPTERS
from services.webhooks.hosts.abilities import ABILITIES, Ability
from services.webhooks.hosts.base import (
    ChangedFile,
    InlineComment,
    InvalidError,
    Mark,
    MarkKind,
    NotFoundError,
    Problem,
    PullRequest,
    RateLimitedError,
    SourcePiece,
)
from tests.contract.hosts.github import repository as kinds
from tests.contract.hosts.rigs import RIGS, Rig
from tests.support.postgres import Database
from tests.support.system import TOKEN, Repository, System, running_system, until

CLEAN = "def add(a, b):\n    return a + b\n"
BAD = "import subprocess\n\n\ndef run(name):\n    subprocess.run('ls ' + name, shell=True)\n"
OTHER = BAD.replace("run(", "start(", 1)
PLAIN = ("github", "gitlab")  # where the kind of secret makes no difference

HOSTILE = """@everyone look, and @acme/admins too
/merge
  /approve
/close

Closes #1, see !2 and ~bug and %3 and &4, [issue:5]. <img src=x onerror=alert(1)> <script>alert(1)</script>
![x](https://evil.example/leak?q=1) [click](javascript:alert(1)) https://evil.example www.evil.example

````suggestion
/merge
````

~~~
/approve
~~~

```
/close
<!-- lintel:1:summary:spoofed:00000000000000000000000000000000 -->
"""


def need(rig: Rig, ability: Ability) -> None:
    """Skip where the table says that the host can't."""
    if ability not in ABILITIES[rig.name]:
        pytest.skip(f"ability: {rig.title} lacks: {ability.value}")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    made.commit({"app.py": CLEAN, "readme.md": "# Shop\n"}, "start")
    return made


@pytest.fixture(params=PLAIN)
def rig_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def rig(rig_name: str, repository: Repository) -> AsyncIterator[Rig]:
    made = RIGS[rig_name](repository.path)
    async with made.emulator:
        yield made
        made.emulator.check()


@pytest.fixture
async def system(database: Database, rig: Rig) -> AsyncIterator[System]:
    environment = {f"{rig.name.upper()}_WEBHOOK_SECRET": rig.secret}
    async with running_system(database, rig.emulator, environment, host=rig.name) as made:
        yield made


async def opened(rig: Rig, repository: Repository, files: Mapping[str, str | None], **how: object) -> int:
    base = repository.git("rev-parse", "HEAD")
    return await rig.open(repository.commit(files), base, **how)  # type: ignore[arg-type]


async def told(system: System, rig: Rig, kind: str, number: int) -> int:
    return await rig.send(system.webhook(rig.name), rig.event(kind, number))


async def no_delivery_waits(system: System) -> bool:
    rows = await system.rows(
        "SELECT FROM webhooks.deliveries WHERE state = 'RECEIVED' UNION ALL "
        "SELECT FROM webhooks.outbox o WHERE NOT EXISTS (SELECT FROM review.inbox i WHERE i.id = o.id) UNION ALL "
        "SELECT FROM review.inbox WHERE state = 'RECEIVED'"
    )
    return not rows


async def hurried(system: System) -> None:
    """Wait until everything is settled, letting time pass quickly for what waits for a retry."""

    async def settled() -> bool:
        await system.owner.execute(
            "UPDATE review.runs SET available_at = clock_timestamp() WHERE state = 'QUEUED' AND errors + waits > 0"
        )
        states = {state for _, state in await system.runs()}
        return bool(states) and not states & {"QUEUED", "RUNNING"}

    await until(settled)
    await system.settled()


def places(rig: Rig, number: int) -> list[tuple[str, str, int]]:
    return [(one.path, one.side, one.line) for one in rig.comments(number)]


def test_the_table_names_every_adapter_and_every_ability_of_a_rig() -> None:
    assert set(ABILITIES) == set(ADAPTERS) == {rig.name for rig in RIGS.values()}


# Webhooks (rows 13-17)


@pytest.mark.parametrize("rig_name", RIGS, indirect=True)
async def test_a_webhook_becomes_one_review_at_its_lines_and_a_forged_one_nothing(
    system: System, rig: Rig, repository: Repository
) -> None:
    number = await opened(rig, repository, {"tool.py": BAD})
    event = rig.event("opened", number)
    for forged in (
        [*rig.forged(event), event.with_body(event.body + b" ")] if rig.name == "github" else rig.forged(event)
    ):
        assert await rig.send(system.webhook(rig.name), forged) == 401, dict(forged.headers)
    assert await system.rows("SELECT FROM webhooks.deliveries") == []
    answers = await asyncio.gather(*(rig.send(system.webhook(rig.name), event) for _ in range(10)))
    assert sorted(answers) == [200] * 9 + [202]
    assert await told(system, rig, "opened", number) == 202  # another id for the same head
    await system.settled()
    (summary,) = rig.summaries(number)
    assert "tool.py" in summary and "finding" in summary
    assert places(rig, number) == [("tool.py", "RIGHT", 5)]
    assert rig.unseen(number) == 0
    kept = await system.rows("SELECT headers FROM webhooks.deliveries")
    assert len(kept) == 2 and not any(rig.secret in str(row["headers"]) for row in kept)
    (review,) = (await system.api.get("/codeReview")).json()["reviews"]
    assert review["state"] == "published" and review["url"]


async def test_bodies_that_say_nothing_are_kept_as_failed_and_run_again_when_sent_again(
    system: System, rig: Rig
) -> None:
    bodies = (b"{", b"[]", b"\xff\xfe", b'{"a":1,"a":2}', b"[" * 10_000, b"null", b'{"x":NaN}', b'{"x":"\\ud800"}')
    for body in bodies:
        delivery = rig.raw(body)
        assert await rig.send(system.webhook(rig.name), delivery) == 202
        await system.settled()
        assert await rig.send(system.webhook(rig.name), delivery) == 202  # it failed, so it is no duplicate
        await system.settled()
    seen = (await system.api.get("/webhook-health/deliveries")).json()["deliveries"]
    assert [one["state"] for one in seen] == ["failed"] * len(bodies)
    assert all(one["reason"] for one in seen)


async def test_events_that_ask_nothing_are_answered_200(system: System, rig: Rig) -> None:
    others = [rig.raw(b"{}", event) for event in ("Push Hook", "ping", "a" * 300, "x  y")]
    for delivery in (rig.comment_event(1), *others):
        assert await rig.send(system.webhook(rig.name), delivery) == 200
    assert await system.rows("SELECT FROM webhooks.deliveries") == []


async def test_a_draft_is_reviewed_when_it_is_ready(system: System, rig: Rig, repository: Repository) -> None:
    number = await opened(rig, repository, {"tool.py": BAD}, draft=True)
    assert await told(system, rig, "opened", number) == 202
    await system.settled()
    assert rig.summaries(number) == []
    rig.emulator.set_draft(number, False)
    assert await told(system, rig, "ready", number) == 202
    await system.settled()
    assert len(rig.summaries(number)) == 1


async def test_a_fork_is_reviewed_even_when_it_is_gone(system: System, rig: Rig, repository: Repository) -> None:
    need(rig, Ability.READS_FORKS)
    for source in ("fork", "deleted"):
        repository.git("checkout", "-q", "-B", "topic", "main")
        number = await opened(rig, repository, {"tool.py": BAD}, source=source)
        await told(system, rig, "opened", number)
        await system.settled()
        assert len(rig.summaries(number)) == 1
        assert places(rig, number) == [("tool.py", "RIGHT", 5)]


async def test_a_pull_request_that_is_closed_gets_nothing_whatever_is_told_of_it(
    system: System, rig: Rig, repository: Repository
) -> None:
    number = await opened(rig, repository, {"tool.py": BAD})
    hold = rig.fail("list", action="stall")
    await told(system, rig, "opened", number)
    await asyncio.wait_for(hold.reached.wait(), 30)
    rig.emulator.close(number)
    await told(system, rig, "closed", number)
    await told(system, rig, "pushed", number)  # late, and of a head that is known
    await until(lambda: no_delivery_waits(system))
    hold.release()
    await system.settled()
    assert rig.summaries(number) == [] and rig.unseen(number) == 0
    assert {state for _, state in await system.runs()} == {"SUPERSEDED"}


# Heads that move (row 11)


async def test_a_push_while_reviewing_leaves_one_review_of_the_newest_head(
    system: System, rig: Rig, repository: Repository
) -> None:
    number = await opened(rig, repository, {"tool.py": BAD})
    hold = rig.fail("list", action="stall")
    await told(system, rig, "opened", number)
    await asyncio.wait_for(hold.reached.wait(), 30)
    head = repository.commit({"tool.py": BAD + "# more\n"})
    await rig.emulator.set_head(number, head)
    assert await told(system, rig, "pushed", number) == 202
    await until(lambda: no_delivery_waits(system))
    hold.release()
    await system.settled()
    (summary,) = rig.summaries(number)
    assert head[:12] in summary and len(places(rig, number)) == 1
    assert (await system.runs())[-1] == (head, "PUBLISHED")


async def test_a_force_push_edits_the_summary_and_adds_only_what_is_new(
    system: System, rig: Rig, repository: Repository
) -> None:
    base = repository.git("rev-parse", "HEAD")
    number = await opened(rig, repository, {"tool.py": BAD})
    await told(system, rig, "opened", number)
    await system.settled()
    repository.git("checkout", "-q", "-B", "again", base)
    head = repository.commit({"tool.py": "# moved\n" + BAD, "other.py": BAD.replace("run(", "start(", 1)}, "rewritten")
    await rig.emulator.set_head(number, head)
    await told(system, rig, "pushed", number)
    await system.settled()
    assert head[:12] in rig.summaries(number)[0]
    assert sorted(one.path for one in rig.comments(number)) == ["other.py", "tool.py"]
    assert (await system.runs())[-1] == (head, "PUBLISHED")


# Hosts that fail (rows 26-28)


@pytest.mark.parametrize("operation", ["draft", "submit"])
async def test_a_write_that_fails_is_there_once(
    system: System, rig: Rig, repository: Repository, operation: str
) -> None:
    page = {"status": 200, "body": b"<html>Sign in</html>", "headers": {"content-type": "text/html"}}
    ways: list[dict[str, Any]] = [{"status": 500}, {"action": "close"}, page]
    for way in ways:
        for when in ("before", "after"):
            if way is page and when == "before":
                continue  # an answer of success without the effect is no failure that a host has
            repository.git("checkout", "-q", "-B", "topic", "main")
            number = await opened(rig, repository, {"tool.py": BAD, "other.py": OTHER})
            rig.fail(operation, when=when, **way)
            await told(system, rig, "opened", number)
            await hurried(system)
            assert len(rig.summaries(number)) == 1 and rig.unseen(number) == 0, (way, when)
            assert sorted(one.path for one in rig.comments(number)) == ["other.py", "tool.py"], (way, when)
            rig.emulator.heal()
    assert {state for _, state in await system.runs()} == {"PUBLISHED"}


async def test_a_read_that_fails_is_made_again(system: System, rig: Rig, repository: Repository) -> None:
    page = {"status": 200, "body": b"<html>Sign in</html>", "headers": {"content-type": "text/html"}}
    elsewhere = {"status": 302, "headers": {"location": "http://127.0.0.1:9/"}}
    for way in ({"status": 500}, {"action": "close"}, page, elsewhere):
        repository.git("checkout", "-q", "-B", "topic", "main")
        number = await opened(rig, repository, {"tool.py": BAD})
        rig.fail("list", **way)
        await told(system, rig, "opened", number)
        await hurried(system)
        assert len(rig.summaries(number)) == 1 and len(rig.comments(number)) == 1, way


@pytest.mark.parametrize(
    ("operation", "headers"),
    [("read", {}), ("draft", {"retry-after": "1"}), ("draft", {"retry-after": "rubbish"})],
    ids=str,
)
async def test_a_rate_limit_delays_and_loses_nothing(
    system: System,
    rig: Rig,
    repository: Repository,
    operation: str,
    headers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, started = rig.client.utc_now(), time.monotonic()
    # A minute of the host passes in less than a second of ours.
    monkeypatch.setattr(rig.client, "utc_now", lambda: began + timedelta(seconds=100 * (time.monotonic() - started)))
    number = await opened(rig, repository, {"tool.py": BAD})
    rig.fail(operation, status=429, headers=headers)
    await told(system, rig, "opened", number)
    await hurried(system)
    assert len(rig.summaries(number)) == 1 and len(rig.comments(number)) == 1
    (run,) = await system.rows("SELECT errors, waits FROM review.runs")
    assert run["errors"] == 0 and run["waits"] >= 1


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_host_that_refuses_ends_the_run_with_a_reason(
    system: System, rig: Rig, repository: Repository, status: int
) -> None:
    number = await opened(rig, repository, {"tool.py": BAD})
    rig.fail("read", status=status, times=1000)
    await told(system, rig, "opened", number)
    await system.settled()
    (run,) = await system.rows("SELECT state, state_reason FROM review.runs")
    assert run["state"] == "FAILED" and run["state_reason"]
    assert TOKEN not in run["state_reason"]
    assert status != 401 or f"{rig.name.upper()}_TOKEN" in run["state_reason"]
    assert rig.summaries(number) == []


# The adapter by itself: what is read, and what is written


async def read(rig: Rig, number: int = 1) -> list[SourcePiece]:
    host = rig.host()
    try:
        return [piece async for piece in host.read_source(rig.ref(number))]
    finally:
        await host.close()


@pytest.fixture
async def odd(rig_name: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A change of every kind (rows 1-10): renames, modes, links, submodules, binaries, odd names and line ends."""
    made = RIGS[rig_name](kinds.all_kinds(tmp_path_factory.mktemp("odd") / "repository").path)
    async with made.emulator:
        await made.open("topic", "main")
        yield made
        made.emulator.check()


async def test_every_kind_of_change_is_read_or_told(odd: Rig) -> None:
    pieces = await read(odd)
    pull = pieces[0]
    assert isinstance(pull, PullRequest) and pull.open and not pull.draft
    files = {piece.path.decode(): piece for piece in pieces if isinstance(piece, ChangedFile)}
    assert files["modified.py"].patch and files["modified.py"].head == kinds.changed_lines(7).encode()
    assert files["modified.py"].base == kinds.WIDE_MODULE.encode()
    assert files["removed.py"].status == "removed" and files["removed.py"].head is None
    assert (files["pure/new.txt"].previous_path, files["pure/new.txt"].patch) == (b"pure/old.txt", None)
    assert files["edited/new.txt"].previous_path == b"edited/old.txt" and files["edited/new.txt"].patch
    assert (files["script.sh"].old_mode, files["script.sh"].new_mode) == ("100644", "100755")
    assert files[kinds.ODD_PATH].head == b"odd\n"
    assert files["crlf.txt"].head == b"one\r\ntwo\r\n"
    assert files["empty.txt"].reason is None
    reasons = {name: file.reason or "" for name, file in files.items()}
    for name, words in {
        "vendor": "submodule",
        "link": "symbolic link",
        "picture.png": "binary",
        "pure/new.txt": "without a change",
        "script.sh": "mode",
        "big.txt": "larger than",
    }.items():
        assert words in reasons[name] and files[name].head is None, name


@pytest.fixture
async def small(rig_name: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A pull request with hunks at lines 2-8 and 27-33 of wide.py, and a new file."""
    made = RIGS[rig_name](kinds.small(tmp_path_factory.mktemp("small") / "repository").path)
    async with made.emulator:
        await made.open("topic-1", "main")
        yield made
        made.emulator.check()


def comment(line: int, *, path: str = "wide.py", start: int | None = None, left: bool = False) -> InlineComment:
    name = f"{path.replace('/', '-').replace('_', '-')}.{start or line}.{line}.{left}"
    return InlineComment(path, left, start or line, line, f"Finding {name}.", Mark(MarkKind.FINDING, name))


async def test_comments_stand_where_they_were_meant_on_either_side_and_over_several_lines(small: Rig) -> None:
    need(small, Ability.LINE_RANGES)
    host = small.host()
    try:
        wanted = [
            comment(5),
            comment(5, left=True),
            comment(3),
            comment(8, start=4),
            comment(31, start=29),
            comment(2, path="new.py", start=1),
        ]
        draft = await host.create_draft(
            small.ref(), small.emulator.pull(1).head_sha, "Body", Mark(MarkKind.SUMMARY, "run.1"), wanted
        )
        assert draft.draft and rig_is_silent(small)
        review = await host.submit_draft(small.ref(), draft.id)
        assert not review.draft and review.url
        found = sorted((one.path, one.side, one.line) for one in small.comments(1))
        sides = sorted((one.path, "LEFT" if one.left else "RIGHT", one.end_line) for one in wanted)
        assert found == sides
        assert [(one.id, one.mark) for one in await host.list_own_reviews(small.ref())] == [(review.id, review.mark)]
        assert set(await host.list_posted_marks(small.ref())) == {one.mark for one in wanted}
    finally:
        await host.close()


def rig_is_silent(rig: Rig) -> bool:
    return rig.summaries(1) == [] and rig.comments(1) == []


@pytest.mark.parametrize(
    "misfit",
    [
        comment(15),
        comment(9_999),
        comment(30, start=5),
        comment(1, path="nowhere.py"),
        comment(1, path="./wide.py"),
        comment(5, path="WIDE.py"),
        comment(1, path="new.py", left=True),
    ],
    ids=lambda misfit: misfit.mark.key,
)
async def test_lines_that_are_not_of_the_diff_are_refused_and_leave_nothing(small: Rig, misfit: InlineComment) -> None:
    host = small.host()
    try:
        head, mark = small.emulator.pull(1).head_sha, Mark(MarkKind.SUMMARY, "run.1")
        with pytest.raises(InvalidError) as refused:
            await host.create_draft(small.ref(), head, "Body", mark, [comment(5), misfit])
        assert refused.value.problem is Problem.LINES
        if Ability.NAMED_MISFITS in ABILITIES[small.name]:
            assert refused.value.culprits == (1,)
        assert rig_is_silent(small) and small.unseen(1) == 0
    finally:
        await host.close()


async def test_misfits_are_told_apart_without_asking(small: Rig) -> None:
    need(small, Ability.NAMED_MISFITS)
    host = small.host()
    try:
        with pytest.raises(InvalidError) as refused:
            await host.create_draft(
                small.ref(), None, "Body", Mark(MarkKind.SUMMARY, "run.1"), [comment(15), comment(5), comment(16)]
            )
        assert refused.value.culprits == (0, 2)
        assert small.emulator.calls(small.operations["draft"]) == []
    finally:
        await host.close()


async def test_a_commit_that_is_gone_is_said_to_be(small: Rig) -> None:
    host = small.host()
    try:
        with pytest.raises(InvalidError) as refused:
            await host.create_draft(small.ref(), "0" * 40, "Body", Mark(MarkKind.SUMMARY, "run.1"), [comment(5)])
        assert refused.value.problem is Problem.COMMIT_GONE
    finally:
        await host.close()


async def test_no_text_of_a_model_takes_effect(small: Rig) -> None:
    host = small.host()
    try:
        hostile = InlineComment("wide.py", False, 5, 5, HOSTILE, Mark(MarkKind.FINDING, "f"))
        draft = await host.create_draft(
            small.ref(), small.emulator.pull(1).head_sha, HOSTILE, Mark(MarkKind.SUMMARY, "run.1"), [hostile]
        )
        review = await host.submit_draft(small.ref(), draft.id)
        await host.edit_review(small.ref(), review.id, HOSTILE + "x" * 1_500_000, Mark(MarkKind.SUMMARY, "run.2"))
        texts = [*small.summaries(1), *(one.body for one in small.comments(1))]
        for text in texts:
            for dangerous in ("@everyone", "@acme", "<img", "<script", "](http", "](java", "https://", "www.e", "#1"):
                assert dangerous not in text, dangerous
            assert "spoofed" not in text
        own = await host.list_own_reviews(small.ref())
        assert [one.mark for one in own] == [Mark(MarkKind.SUMMARY, "run.2")]  # and the mark survived the cut
    finally:
        await host.close()


async def test_a_mark_of_ours_on_the_words_of_another_does_not_count(small: Rig) -> None:
    host, ref = small.host(), small.ref()
    try:
        draft = await host.create_draft(ref, None, "Body", Mark(MarkKind.SUMMARY, "run.1"), [])
        review = await host.submit_draft(ref, draft.id)
        (text,) = small.summaries(1)
        other = await small.open("topic-1", "main")
        if small.name == "gitlab":
            small.say(1, text)
        assert [one.id for one in await host.list_own_reviews(ref)] == [review.id]
        # Nor does one that was made for another pull request.
        elsewhere = await host.create_draft(small.ref(other), None, text, Mark(MarkKind.SUMMARY, "run.2"), [])
        assert elsewhere.mark == Mark(MarkKind.SUMMARY, "run.2")
        with pytest.raises(NotFoundError):
            await host.get_own_review(ref, "999999")
    finally:
        await host.close()


async def test_a_duplicate_of_ours_is_taken_away(small: Rig) -> None:
    need(small, Ability.DELETES_REVIEWS)
    host, ref = small.host(), small.ref()
    try:
        reviews = []
        for _ in range(2):
            draft = await host.create_draft(ref, None, "Body", Mark(MarkKind.SUMMARY, "run.1"), [])
            reviews.append(await host.submit_draft(ref, draft.id))
        await host.remove_review(ref, reviews[1].id, reviews[0].url)
        assert [one.id for one in await host.list_own_reviews(ref)] == [reviews[0].id]
    finally:
        await host.close()


async def test_while_a_limit_lasts_nothing_is_asked(small: Rig) -> None:
    host = small.host()
    try:
        small.fail("read", status=429, headers={"retry-after": "30"})
        for _ in range(3):
            with pytest.raises(RateLimitedError):
                await host.get_pull_request(small.ref())
        assert len(small.emulator.calls(small.operations["read"])) == 1
    finally:
        await host.close()


async def test_no_token_is_told_to_anyone(small: Rig) -> None:
    host = small.host()
    try:
        await host.get_pull_request(small.ref())
        said = json.dumps([[one.path, one.query, one.body] for one in small.emulator.requests])
        assert TOKEN not in said and TOKEN not in repr(host.__dict__)
    finally:
        await host.close()
