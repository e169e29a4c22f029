"""The model's pass over a change: find, repair an answer once at most, let a second call refute.

Only what the second call could not refute counts. What fails is told and never reads as "no problems": a claim whose
verification failed is not posted, and the pass counts as failed. A pass makes at most MAX_CALLS calls.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from services.kit.errors import AppError, Reason
from services.kit.telemetry import log
from services.kit.tokens import estimate
from services.review.domain import Claim, DropReason, Run
from services.review.model.answers import Claims, read_claims, read_verdicts
from services.review.model.asker import Answer, Asker, BudgetError, Described, LanguageModels
from services.review.model.packing import Pack, Packing, pack
from services.review.model.strict_json import InvalidAnswerError
from services.review.model.surroundings import Surroundings
from services.review.model.templates import REVIEW, VERIFY, Instructions
from services.review.model_port import CheckpointError, Checkpoints, Estimate, ModelChoice, ModelResult, SourceView

MAX_PACKS = 12
MAX_CALLS = 30  # repairs and verification included
MAX_CLAIMS = 100  # the gravest go to the verifier
CLAIMS_A_CALL = 20
PACK_TOKENS = 12_000  # models find less in more
CONCURRENCY = 3
PASS_SECONDS = 900.0
_OVERHEAD = 400  # tokens of roles, border and schema
# What is wrong with one answer says nothing about the next; any other failure would only be repeated.
_LOCAL_FAULTS = {"refusal", "content_filter", "incomplete", "empty", "oversized", "no_finish", "schema_mismatch"}
_logger = log.get("model_pass")
ReadT = TypeVar("ReadT")


class _GivenUpError(Exception):
    """A call failed for good; `everything` says that further calls would too."""

    def __init__(self, reason: str, *, everything: bool) -> None:
        super().__init__(reason)
        self.everything = everything


@dataclass(slots=True)
class _State:
    """What is known so far of one pass."""

    until: float
    reasons: list[str] = field(default_factory=list)
    dropped: Counter[DropReason] = field(default_factory=Counter)
    malformed: int = 0
    repaired: int = 0
    stopped: bool = False
    lost: CheckpointError | None = None

    def fail(self, error: _GivenUpError) -> None:
        if str(error) not in self.reasons:
            self.reasons.append(str(error))
        self.stopped = self.stopped or error.everything


class TwoCallPass:
    """Implements ModelPass with one model: blind to title, author and branch, which are not in the view."""

    def __init__(self, models: LanguageModels, checkpoints: Checkpoints, *, seconds: float = PASS_SECONDS) -> None:
        self._models = models
        self._checkpoints = checkpoints
        self._seconds = seconds

    async def chosen(self, run: Run) -> ModelChoice | None:
        """Answer which model would be asked; raises AppError where that cannot be told."""
        found = await self._models.describe(run.organization_id)
        return ModelChoice(found.provider, found.model, found.usd_per_million_tokens) if found else None

    async def estimate(self, run: Run, view: SourceView) -> Estimate:
        """Answer the calls that would read the view, and their tokens; raises AppError where there is no model."""
        packing = _packed(await self._described(run), view)
        tokens = sum(pack.tokens + estimate(REVIEW.text) + _OVERHEAD for pack in packing.packs)
        return Estimate(len(packing.packs), tokens, tuple(_left_out(packing)))

    async def claims(self, run: Run, view: SourceView) -> ModelResult:
        """Ask about the view. Raises AppError only where there is no model after all, and CheckpointError."""
        described = await self._described(run)
        asker = Asker(self._models, self._checkpoints, run, described, MAX_CALLS)
        state = _State(time.monotonic() + self._seconds)
        most = described.max_input_tokens - _OVERHEAD
        packing = _packed(described, view)
        found = await self._find(asker, packing.packs, state)
        kept = await self._verify(asker, _gravest(found, state), view, max(most - estimate(VERIFY.text), 1000), state)
        uses = asker.uses()
        _logger.info("model pass", calls=asker.calls, packs=len(packing.packs), claims=len(found), kept=len(kept))
        return ModelResult(
            claims=tuple(kept),
            uses=uses,
            failed=bool(state.reasons),
            reason="; ".join(state.reasons),
            dropped={reason: count for reason, count in state.dropped.items() if count},
            notes=(*described.notes, *_notes(packing, state, asker)),
        )

    async def _described(self, run: Run) -> Described:
        described = await self._models.describe(run.organization_id)
        if described is None:
            raise AppError(Reason.MODEL_NOT_CONFIGURED)
        return described

    async def _find(self, asker: Asker, packs: Sequence[Pack], state: _State) -> list[Claim]:
        """Ask about each pack, a few at a time; the order of the claims is that of the packs."""
        results: dict[int, Claims] = {}
        waiting = iter(enumerate(packs))

        async def work() -> None:
            for index, each in waiting:
                if state.stopped:
                    return
                try:
                    read = partial(_read, paths=each.paths)
                    results[index] = await _asked(asker, REVIEW, f"review-{index}", each.text, state, read)
                except _GivenUpError as error:
                    state.fail(error)
                except CheckpointError as error:
                    state.lost, state.stopped = error, True

        # What stopped a worker may stop the next one: from then on one call at a time can be in doubt.
        at_once = 1 if asker.run.crashes else CONCURRENCY
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(packs))):
                group.create_task(work())
        if state.lost is not None:
            raise state.lost
        for result in results.values():
            state.malformed += result.malformed
            state.dropped[DropReason.OVER_LIMIT] += result.over_limit
        return [claim for index in sorted(results) for claim in results[index].claims]

    async def _verify(
        self, asker: Asker, claims: Sequence[Claim], view: SourceView, budget: int, state: _State
    ) -> list[Claim]:
        """Answer the claims that a call of its own could not refute; those of a failed call are not among them."""
        state.stopped = False  # a limit may be over by now, and what was found is worth one more call
        surroundings = Surroundings(view)
        kept: list[Claim] = []
        for number, batch in enumerate(_batches(claims, surroundings, budget, state)):
            if state.stopped:
                break
            text = "\n".join(block for _, block in batch)
            try:
                read = partial(_read_verdicts, count=len(batch))
                verdicts = await _asked(asker, VERIFY, f"verify-{number}", text, state, read)
            except _GivenUpError as error:
                state.fail(error)
                continue
            kept += [claim for (claim, _), keep in zip(batch, verdicts, strict=True) if keep]
            state.dropped[DropReason.REFUTED] += verdicts.count(False)
        return kept


def _packed(described: Described, view: SourceView) -> Packing:
    most = described.max_input_tokens - _OVERHEAD
    return pack(view, min(max(most - estimate(REVIEW.text), 500), PACK_TOKENS), MAX_PACKS)


def _read(answer: Answer, paths: Mapping[str, str]) -> Claims:
    return read_claims(answer.text, paths, answer.model)


def _read_verdicts(answer: Answer, count: int) -> list[bool]:
    return read_verdicts(answer.text, count)


async def _asked(
    asker: Asker,
    instructions: Instructions,
    step: str,
    text: str,
    state: _State,
    read: Callable[[Answer], ReadT],
) -> ReadT:
    """Ask, and ask once more where the answer cannot be used; raises _GivenUpError."""
    problem = ""
    for attempt in range(2):
        left = state.until - time.monotonic()
        try:
            async with asyncio.timeout(max(left, 0)):
                answer = await asker.ask(instructions, step if not attempt else f"{step}-repair", text, problem)
            return read(answer)
        except InvalidAnswerError as error:
            problem = str(error)
            state.repaired += not attempt
        except TimeoutError:
            raise _GivenUpError("the model took too long over the change", everything=True) from None
        except BudgetError:
            raise _GivenUpError(f"the limit of {MAX_CALLS} model calls was reached", everything=True) from None
        except AppError as error:
            everything = error.metadata.get("fault") not in _LOCAL_FAULTS
            raise _GivenUpError(error.message or error.reason.value, everything=everything) from None
    raise _GivenUpError(f"the model's answer could not be used, twice: {problem}", everything=False)


def _gravest(claims: Sequence[Claim], state: _State) -> list[Claim]:
    """Leave out what was said twice of the same lines, and what is beyond MAX_CLAIMS."""
    unique: dict[tuple[str, str, str, str], Claim] = {}
    for claim in claims:
        unique.setdefault((claim.path, claim.side.value, claim.quote, claim.category), claim)
    ranked = sorted(unique.values(), key=lambda claim: -claim.severity.rank)
    state.dropped[DropReason.DUPLICATE] += len(claims) - len(unique)
    state.dropped[DropReason.OVER_LIMIT] += max(len(ranked) - MAX_CLAIMS, 0)
    return ranked[:MAX_CLAIMS]


def _batches(
    claims: Sequence[Claim], surroundings: Surroundings, budget: int, state: _State
) -> list[list[tuple[Claim, str]]]:
    """Put claims with what stands around them into calls; one that quotes nothing of the change is dropped here."""
    batches: list[list[tuple[Claim, str]]] = []
    room = 0
    for claim in claims:
        if surroundings.block(0, claim) is None:
            state.dropped[DropReason.QUOTE_NOT_FOUND] += 1
            continue
        cost = estimate(surroundings.block(0, claim) or "")
        if not batches or cost > room or len(batches[-1]) >= CLAIMS_A_CALL:
            batches.append([])
            room = budget
        batches[-1].append((claim, surroundings.block(len(batches[-1]), claim) or ""))
        room -= cost
    return batches


def _left_out(packing: Packing) -> list[str]:
    notes = []
    if packing.files_left_out:
        shown = ", ".join(packing.files_left_out[:10])
        more = f" and {len(packing.files_left_out) - 10} more" if len(packing.files_left_out) > 10 else ""
        notes.append(f"partial: the change is larger than a model is asked about; not shown to it: {shown}{more}")
    if packing.files_cut:
        notes.append(f"partial: the model was shown only the first part of {', '.join(packing.files_cut[:10])}")
    if packing.long_lines:
        notes.append(f"partial: {packing.long_lines} overlong lines were not shown to the model")
    return notes


def _notes(packing: Packing, state: _State, asker: Asker) -> list[str]:
    notes = _left_out(packing)
    if state.malformed:
        notes.append(f"the model's answers held {state.malformed} malformed findings, which were left out")
    if state.repaired:
        notes.append(f"the model had to answer anew {state.repaired} times, as its answer could not be used")
    if asker.in_doubt():
        notes.append(
            f"a worker stopped while {asker.in_doubt()} calls of the model were under way; they were made again, and "
            "may have been charged twice"
        )
    notes += sorted(asker.fallbacks)
    if asker.estimated:
        notes.append("the model's provider did not report all tokens: the numbers are estimates")
    return notes
