"""The life of a pull request: draft, fork, closed; and heads that move (row 11)."""

import asyncio

from services.webhooks.hosts.abilities import Ability
from tests.contract.hosts.conformance.steps import BAD, need, no_delivery_waits, opened, places, told
from tests.contract.hosts.rigs import Rig
from tests.support.system import Repository, System, until


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
