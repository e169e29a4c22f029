"""Every provider and every way in which one misbehaves: a named fault, and never a wrong answer.

One test per provider asks for all cases at once; each request says in its prompt which case it is.
"""

import asyncio
import json
from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from emulators.models import Said
from services.llm_gateway.providers.faults import Fault, ProviderError
from services.llm_gateway.providers.port import OpenedModel
from services.llm_gateway.providers.types import Answer, Piece, Request, Waits
from tests.contract.providers.cases import CANARY, CASES, GOOD, Case
from tests.contract.providers.conftest import KEY, REQUEST, RIGS, opened_for

HASTY = Waits(connect=30, first=0.3, idle=0.3)
AT_ONCE = 24


def _case_of(text: str) -> str:
    return text.partition("case <")[2].partition(">")[0]


def _answer(asked: Any) -> Any:
    return CASES[_case_of(asked.user).partition(" / ")[0]].answer


async def _outcome(model: OpenedModel, request: Request, is_stream: bool) -> Answer | ProviderError:
    try:
        if not is_stream:
            return await model.complete(request)
        async with aclosing(model.stream(request)) as steps:  # type: ignore[type-var]
            seen: list[Piece | Answer] = [step async for step in steps]
    except ProviderError as error:
        return error
    last = seen[-1]
    assert isinstance(last, Answer) and all(isinstance(step, Piece) for step in seen[:-1])
    return last


@pytest.mark.parametrize("name", RIGS)
async def test_each_case_has_its_fault(name: str) -> None:
    rig, gate = RIGS[name], asyncio.Semaphore(AT_ONCE)
    wrong: list[str] = []
    most: dict[str, int] = {}
    async with rig.make(_answer) as emulator:
        patient = await opened_for(rig, emulator)
        hasty = await opened_for(rig, emulator, waits=HASTY)

        async def one(case_name: str, is_stream: bool) -> None:
            case, tag = CASES[case_name], f"{case_name} / {'streamed' if is_stream else 'whole'}"
            expected = case.expected(rig.wire, is_stream)
            if expected == "not meant":
                return
            seconds = 0.5 if case.hasty and not is_stream else 100
            request = replace(REQUEST, input=f"{REQUEST.input} case <{tag}>", seconds=seconds)
            async with gate:
                outcome = await _outcome(hasty if case.hasty else patient, request, is_stream)
            found = _problem(case_name, case, expected, outcome)
            if found:
                wrong.append(f"{tag}: {found}")
            most[tag] = 2 if expected is Fault.SCHEMA_MISMATCH and not is_stream else 1

        await asyncio.gather(*(one(case, is_stream) for case in CASES for is_stream in (False, True)))
        await patient.aclose()
        await hasty.aclose()
        emulator.check()
        calls = Counter(_case_of(record.asked.user) for record in emulator.requests if record.asked is not None)
        wrong += [f"{tag}: asked {calls[tag]} times" for tag, limit in most.items() if calls[tag] > limit]
    assert wrong == []


def _problem(name: str, case: Case, expected: Fault | str | None, outcome: Answer | ProviderError) -> str | None:
    if isinstance(outcome, Answer):
        if expected is not None:
            return f"an answer where {expected} was due"
        if json.loads(outcome.text) != GOOD and name != "extra fields":
            return f"the text {outcome.text!r}"
        counted = not isinstance(case.answer, Said) or case.answer.counted
        return None if outcome.usage.reported is counted else f"usage {outcome.usage}"
    if outcome.fault is not expected:
        return f"{outcome.fault} where {expected} was due"
    text = f"{outcome} {outcome.words} {outcome.__cause__} {outcome.request_id} {outcome.meaning.words}"
    for secret in (KEY, "canary-in-prompt", "127.0.0.1", "PRIVATE KEY", "ya29."):
        if secret in text:
            return f"{secret} is shown in {text!r}"
    if CANARY in outcome.words and not outcome.status and expected not in (Fault.REFUSAL, Fault.ERROR_IN_ANSWER):
        return "the model's own text is shown"
    return None
