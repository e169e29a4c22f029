"""The system without one of its protections, to show that the suite notices. Only here, never in the system itself.

`python -m tests.chaos.without_NAME ROLE…` runs roles as `python -m services` does, but for one protection.
"""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any


def without_fencing() -> None:
    """Whoever had a run or a pull request once may write on, whoever has it now.

    A worker's own clock stands still as well: it is the wall before the epoch, and would hide that there is none.
    """
    from services.review import run_store, worker
    from services.webhooks import ledger_store

    async def hold(connection: Any, run: Any) -> Any:
        row = await run_store.lock_of_run(connection, run.id)
        assert row is not None
        return {**row, "state": "RUNNING"}

    @asynccontextmanager
    async def held(self: Any, lease: Any) -> AsyncIterator[Any]:
        async with self._database.tenant(lease.organization_id) as connection:
            await connection.fetchrow(ledger_store._LOCK_FENCE, *lease.pull_request)
            yield connection

    init = worker.Worker.__init__

    def with_a_clock_that_stands(self: Any, *arguments: Any, **_: Any) -> None:
        init(self, *arguments, now=lambda: 0.0)

    _replace(worker.Worker, "__init__", with_a_clock_that_stands)
    _replace(run_store, "hold", hold)
    _replace(ledger_store.LedgerStore, "_held", held)
    lock = ledger_store._LOCK_FENCE.replace("SELECT epoch,", "SELECT 0::bigint AS epoch,")
    _replace(
        ledger_store, "_LOCK_FENCE", lock.replace("lease_expire_time > clock_timestamp() AS held", "false AS held")
    )


def without_deduplication() -> None:
    """What arrives again is taken for something new: deliveries of the code host, and envelopes of the bus."""
    from services.kit.postgres import inbox
    from services.webhooks import store

    add_delivery = store.add_delivery

    async def add(connection: Any, organization: Any, host: str, connection_id: str, delivery: str, *more: Any) -> Any:
        return await add_delivery(connection, organization, host, connection_id, f"{delivery}#{uuid.uuid4()}", *more)

    _replace(store, "add_delivery", add)
    acceptor = inbox.acceptor

    def forgetful(database: Any, schema: str) -> Any:
        accept = acceptor(database, schema)

        async def again(envelopes: Any) -> None:
            await accept([type(e)(uuid.uuid4(), e.organization_id, e.topic, e.data) for e in envelopes])

        return again

    _replace(inbox, "acceptor", forgetful)


def without_reconciliation() -> None:
    """What is in doubt on the code host is not looked for, but done again."""
    from services.webhooks.publishing import Publishing

    async def nothing(self: Any) -> None:
        return None

    _replace(Publishing, "_reconcile", nothing)


def _replace(owner: Any, name: str, value: Any) -> None:
    assert hasattr(owner, name), f"{owner.__name__} has no {name} any more"
    setattr(owner, name, value)


FAULTS: dict[str, Callable[[], None]] = {
    "fencing": without_fencing,
    "deduplication": without_deduplication,
    "reconciliation": without_reconciliation,
}


def run(name: str) -> int:
    """Run the roles of the command line without a protection."""
    FAULTS[name]()
    from services.__main__ import main

    return main()
