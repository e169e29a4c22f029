"""Each credential has its rate, and one that calls too often leaves the others alone."""

import grpc
import pytest

from services.kit.errors import AppError, Reason
from services.kit.rpc import rate
from services.kit.rpc.chain import Call
from services.kit.rpc.context import set_principal
from services.kit.rpc.policy import OWNER, Rule, read
from services.kit.rpc.rate import Rate, limit_rate
from tests.support.rpc import principal_with


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def call(rule: Rule) -> Call:
    context: grpc.aio.ServicerContext = None  # type: ignore[assignment,type-arg]
    return Call("/a/B", rule, context, None, {})


async def let_in() -> None:
    return None


async def test_a_burst_then_the_rate_then_a_refusal_that_says_how_long() -> None:
    clock = Clock()
    limit = limit_rate(Rate(per_second=2, burst=3), clock)
    set_principal(principal_with("owner"))
    for _ in range(3):
        await limit(call(read(OWNER)), let_in)
    with pytest.raises(AppError) as caught:
        await limit(call(read(OWNER)), let_in)
    assert caught.value.reason is Reason.OVERLOADED
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == pytest.approx(0.5)
    clock.now += 0.5
    await limit(call(read(OWNER)), let_in)
    with pytest.raises(AppError):
        await limit(call(read(OWNER)), let_in)


async def test_another_credential_and_open_calls_are_not_held_up() -> None:
    limit = limit_rate(Rate(per_second=1, burst=1), Clock())
    set_principal(principal_with("owner"))
    await limit(call(read(OWNER)), let_in)
    with pytest.raises(AppError):
        await limit(call(read(OWNER)), let_in)
    who = principal_with("owner")
    set_principal(type(who)(who.organization_id, None, "owner", "another key"))
    await limit(call(read(OWNER)), let_in)
    set_principal(None)
    await limit(call(Rule(is_open=True)), let_in)


async def test_callers_are_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "CALLERS", 2)
    limit = limit_rate(Rate(per_second=1, burst=1), Clock())
    who = principal_with("owner")
    for name in ("a", "b", "c", "a"):  # by then a is forgotten, and begins anew
        set_principal(type(who)(who.organization_id, None, "owner", name))
        await limit(call(read(OWNER)), let_in)
