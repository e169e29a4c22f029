"""The suite has teeth: without a protection it says what is wrong, and with it, of the very same doings, nothing.

Not part of `./lintel test`, as each of these starts a system: `./lintel test tests/chaos/teeth.py` (3 minutes).
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.chaos.points import POINTS
from tests.chaos.rest import until
from tests.chaos.stage import Stage, staged
from tests.chaos.world import SECRET


async def sleep_beyond_the_lease(stage: Stage) -> None:
    """A worker stands still while another takes its run over and ends it, and then goes on where it was."""
    await stage.world.github("fail", "pulls/list-files", "before", "stall")
    await stage.announce("opened", 1, stage.changes[0].heads[0])
    workers = [role for name, role in stage.world.roles.items() if name.startswith("worker")]

    async def is_reading() -> bool:
        return bool(await stage.world.github("open_requests"))

    await until(is_reading, 60, "a worker reads")
    (asleep,) = [worker for worker in workers if await stage.casualties.of(worker.pid)]
    asleep.pause()
    await stage.world.github("heal")
    await until(lambda: stage.published(1, stage.changes[0].heads[0]), 90, "another worker has ended the run")
    asleep.resume()

    async def has_ended_again() -> bool:
        return len(await stage.world.query("SELECT FROM public.ends")) > 1

    try:
        await until(has_ended_again, 15, "the first worker ends it too")
    except AssertionError:
        return  # the verdict says so


async def die_between_effect_and_record(stage: Stage) -> None:
    """The review is on the host, and whoever put it there dies before that is written down."""
    (point,) = [point for point in POINTS if point.name == "publication: submitted, then posted"]
    await stage.kill_at(point, "before", 1)


async def tell_twice(stage: Stage) -> None:
    """The code host sends a delivery again."""
    delivery = await stage.world.github("webhook", "opened", 1, SECRET)
    for _ in range(2):
        head = stage.changes[0].heads[0]
        await stage.sender.send_until_stored(delivery["headers"], delivery["body"].encode(), 1, head)


CASES = {
    "fencing": (sleep_beyond_the_lease, "run ended twice"),
    "reconciliation": (die_between_effect_and_record, "review twice"),
    "deduplication": (tell_twice, "delivery"),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("protection", CASES)
@pytest.mark.parametrize("present", [True, False], ids=["with", "without"])
async def test_what_a_protection_is_for_is_seen_without_it(tmp_path: Path, protection: str, present: bool) -> None:
    doing: Callable[[Stage], Awaitable[None]]
    doing, check = CASES[protection]
    module = "services" if present else f"tests.chaos.without_{protection}"
    async with staged(tmp_path, 1, module) as stage:
        await doing(stage)
        found, _ = await stage.verdict(30)
    print(f"{'with' if present else 'without'} {protection}: {'; '.join(map(str, found)) or 'nothing is wrong'}")
    assert (not found) if present else (check in {violation.check for violation in found}), found
