"""How often one caller may call: a token bucket for each credential, in each process."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from services.kit.errors import AppError, Reason
from services.kit.rpc.chain import Call, Middleware, Next
from services.kit.rpc.context import principal
from services.kit.telemetry import metrics

CALLERS = 4096  # remembered; those that called longest ago are forgotten, and begin with a full bucket


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls in a second in the long run, and at once after a pause."""

    per_second: float
    burst: int


# A person's page makes some ten calls at once and a program polls each second; one process serves some thousand.
CALLER_RATE = Rate(per_second=50, burst=200)


def limit_rate(rate: Rate, clock: Callable[[], float] = time.monotonic) -> Middleware:
    """Refuse what one credential asks beyond its rate, so that a runaway script leaves room for others.

    Raises AppError(OVERLOADED) with the time after which the next call is let in.
    """
    buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    async def middleware(call: Call, proceed: Next) -> None:
        if not call.rule.is_open:
            _take(f"{principal().organization_id}/{principal().credential_id}")
        await proceed()

    def _take(caller: str) -> None:
        now = clock()
        tokens, counted = buckets.pop(caller, (float(rate.burst), now))
        tokens = min(float(rate.burst), tokens + (now - counted) * rate.per_second)
        is_allowed = tokens >= 1
        buckets[caller] = (tokens - 1 if is_allowed else tokens, now)
        while len(buckets) > CALLERS:
            buckets.popitem(last=False)
        if not is_allowed:
            metrics.RPC_REFUSED.inc()
            wait = timedelta(seconds=(1 - tokens) / rate.per_second)
            raise AppError(Reason.OVERLOADED, "This credential calls too often.", retry_after=wait)

    return middleware
