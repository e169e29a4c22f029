"""The calls on record: claims and settlements of the same moment go to the database together."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.kit.worker import Loop
from services.llm_gateway.accounting import ClaimResult, Purpose, Reservation, Settlement, Stored
from services.llm_gateway.batching import Batcher
from services.llm_gateway.store import CallStore

KEEP_ANSWERS = timedelta(days=7)  # longer than any run is retried
_SWEEP_SECONDS = 60.0
_SWEEP_BATCH = 500


class Ledger:
    """Claims, settlements and answers. Methods raise AppError(UNAVAILABLE) while the database is away."""

    def __init__(self, store: CallStore) -> None:
        self._store = store
        self._claims: Batcher[UUID, Reservation, ClaimResult] = Batcher(store.claim)
        self._settlements: Batcher[UUID, Settlement, None] = Batcher(self._settle)

    async def claim(self, reservation: Reservation) -> ClaimResult:
        """Claim a call and reserve its money, or answer why not."""
        return await self._claims.submit(reservation.purpose.organization_id, reservation)

    async def settle(self, settlement: Settlement) -> None:
        """Write down how a call went."""
        await self._settlements.submit(settlement.organization_id, settlement)

    async def find(self, purpose: Purpose, question: bytes, within: timedelta) -> Stored | None:
        """Answer what the same question was answered with lately."""
        since = datetime.now(UTC) - within
        return await self._store.find_answer(purpose.organization_id, question, since)

    def sweep(self) -> Loop:
        """Answer the loop that forgets old answers and names calls lost that nobody settled."""

        async def step() -> bool:
            return await self._store.forget_answers(datetime.now(UTC) - KEEP_ANSWERS, _SWEEP_BATCH) >= _SWEEP_BATCH

        return Loop("sweep llm_gateway", step, idle=_SWEEP_SECONDS)

    async def _settle(self, organization_id: UUID, done: Sequence[Settlement]) -> Sequence[None]:
        await self._store.settle(organization_id, done)
        return [None] * len(done)
