"""The calls on record: claims and settlements of the same moment go to the database together."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.kit.errors import AppError
from services.kit.telemetry import log
from services.kit.worker import Loop
from services.llm_gateway.accounting import ClaimResult, Purpose, Reservation, Settlement, Stored
from services.llm_gateway.batching import Batcher
from services.llm_gateway.store import CallStore

KEEP_ANSWERS = timedelta(days=7)  # longer than any run is retried
_SWEEP_SECONDS = 60.0
_LATE_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)  # together longer than a lease goes on after its deadline
_SWEEP_BATCH = 500
_logger = log.get("ledger")


class Ledger:
    """Claims, settlements and answers. Methods raise AppError(UNAVAILABLE) while the database is away."""

    def __init__(self, store: CallStore) -> None:
        self._store = store
        self._claims: Batcher[UUID, Reservation, ClaimResult] = Batcher(store.claim)
        self._settlements: Batcher[UUID, Settlement, None] = Batcher(self._settle)
        self._late = set[asyncio.Task[None]]()

    async def claim(self, reservation: Reservation) -> ClaimResult:
        """Claim a call and reserve its money, or answer why not."""
        return await self._claims.submit(reservation.purpose.organization_id, reservation)

    async def settle(self, settlement: Settlement) -> None:
        """Write down how a call went; while the database is away that is tried for a while, and nobody waits for it.

        An answer that is paid for is not kept from its caller because it could not be recorded.
        """
        try:
            await self._settlements.submit(settlement.organization_id, settlement)
        except AppError as error:
            _logger.warning("a call is not settled yet", call=str(settlement.id), reason=error.reason.value)
            task = asyncio.create_task(self._settle_later(settlement))
            self._late.add(task)
            task.add_done_callback(self._late.discard)

    async def aclose(self) -> None:
        """Stop trying to settle what could not be settled: those calls are in doubt when their lease is over."""
        for task in list(self._late):
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _settle_later(self, settlement: Settlement) -> None:
        for pause in _LATE_SECONDS:
            await asyncio.sleep(pause)
            try:
                await self._settlements.submit(settlement.organization_id, settlement)
            except AppError:
                continue
            return
        _logger.error("a call was never settled", call=str(settlement.id))

    async def find(self, purpose: Purpose, question: bytes, within: timedelta) -> Stored | None:
        """Answer what the same question was answered with lately."""
        since = datetime.now(UTC) - within
        return await self._store.find_answer(purpose.organization_id, question, since)

    async def forget(self, organization_id: UUID, call_id: UUID) -> None:
        """Take the answer of a call away, so that its id can be asked for anew."""
        await self._store.forget(organization_id, call_id)

    def sweep(self) -> Loop:
        """Answer the loop that forgets old answers and names calls lost that nobody settled."""

        async def step() -> bool:
            return await self._store.forget_answers(datetime.now(UTC) - KEEP_ANSWERS, _SWEEP_BATCH) >= _SWEEP_BATCH

        return Loop("sweep llm_gateway", step, idle=_SWEEP_SECONDS)

    async def _settle(self, organization_id: UUID, done: Sequence[Settlement]) -> Sequence[None]:
        await self._store.settle(organization_id, done)
        return [None] * len(done)
