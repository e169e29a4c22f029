"""Failures on demand: an answer, a cut connection or a stall, before or after the operation took effect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from emulators.github.answers import DOCS, Answer

When = Literal["before", "after"]
Action = Literal["respond", "close", "stall"]

_MESSAGES = {
    301: "Moved Permanently",
    307: "Temporary Redirect",
    401: "Bad credentials",
    403: "Resource not accessible by integration",
    404: "Not Found",
    422: "Validation Failed",
    429: "You have exceeded a secondary rate limit.",
}


@dataclass
class Failure:
    """One order to fail; `reached` is set when a request first runs into it, `hits` counts them."""

    operation: str
    status: int | None
    headers: Mapping[str, str]
    body: bytes | None
    times: int
    skip: int
    when: When
    action: Action
    hits: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Lets stalled requests go on."""
        self._released.set()

    async def hold(self) -> None:
        """Waits for the release."""
        await self._released.wait()

    def answer(self) -> Answer | None:
        """Returns the ordered answer; None when the order is only to stall or to cut."""
        if self.status is None:
            return None
        body = self.body
        if body is None and self.status not in (204, 304):
            message = _MESSAGES.get(self.status, "Server Error")
            shape = {"message": message, "documentation_url": DOCS, "status": str(self.status)}
            body = json.dumps(shape).encode()
        return Answer(self.status, body or b"", headers=dict(self.headers))


class Failures:
    """The standing orders, first come first served."""

    def __init__(self) -> None:
        self._orders: list[Failure] = []

    def add(
        self,
        operation: str,
        *,
        status: int | None,
        headers: Mapping[str, str] | None,
        body: bytes | str | Mapping[str, Any] | None,
        times: int,
        skip: int,
        when: When,
        action: Action,
    ) -> Failure:
        """Adds an order; ValueError when it says nothing or contradicts itself."""
        if action == "respond" and status is None:
            raise ValueError("a failure needs a status, or the action close or stall")
        if action == "close" and status is not None:
            raise ValueError("a cut connection has no status")
        if when not in ("before", "after") or action not in ("respond", "close", "stall"):
            raise ValueError(f"when is before or after, action is respond, close or stall; got {when!r}, {action!r}")
        if isinstance(body, Mapping):
            body = json.dumps(body)
        data = body.encode() if isinstance(body, str) else body
        order = Failure(operation, status, dict(headers or {}), data, times, skip, when, action)
        self._orders.append(order)
        return order

    def take(self, operation: str, when: When) -> Failure | None:
        """Returns the order that this request runs into, and counts it."""
        for order in self._orders:
            if order.when != when or order.operation not in ("*", operation) or order.times <= 0:
                continue
            if order.skip > 0:
                order.skip -= 1
                continue
            order.times -= 1
            order.hits += 1
            order.reached.set()
            return order
        return None

    def clear(self) -> None:
        """Drops all orders and releases what they hold."""
        for order in self._orders:
            order.times = 0
            order.release()
        self._orders.clear()
