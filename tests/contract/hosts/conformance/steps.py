"""What the tests of every host do: change a file, open a pull request, send a webhook, wait until all is settled."""

from collections.abc import Mapping

import pytest

from services.webhooks.hosts.abilities import ABILITIES, Ability
from tests.contract.hosts.rigs import Rig
from tests.support.system import Repository, System, until

CLEAN = "def add(a, b):\n    return a + b\n"
BAD = "import subprocess\n\n\ndef run(name):\n    subprocess.run('ls ' + name, shell=True)\n"
OTHER = BAD.replace("run(", "start(", 1)


def need(rig: Rig, ability: Ability) -> None:
    """Skip where the table says that the host can't."""
    if ability not in ABILITIES[rig.name]:
        pytest.skip(f"ability: {rig.title} lacks: {ability.value}")


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
