"""Rate limits: the hourly allowance, and the secondary limits on concurrency, points and content."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from emulators.github.answers import RefusedError
from emulators.github.description import Operation
from emulators.github.model import Limits, User

_CREATES = {
    "pulls/create-review",
    "pulls/submit-review",
    "pulls/create-review-comment",
    "pulls/create-reply-for-review-comment",
    "issues/create-comment",
}


@dataclass
class _Account:
    hour_began: float
    used: int = 0
    points: deque[tuple[float, int]] = field(default_factory=deque)
    created: deque[float] = field(default_factory=deque)
    running: int = 0


class Meter:
    """Counts what each account uses; a request over a limit is refused and costs nothing further."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._accounts: dict[int, _Account] = {}

    def _account(self, user: User) -> _Account:
        now = self._clock()
        account = self._accounts.setdefault(user.id, _Account(now))
        if now - account.hour_began >= 3600:
            account.hour_began, account.used = now, 0
        return account

    def overview(self, user: User) -> dict[str, int]:
        """Returns limit, remaining, used and reset (epoch seconds) of the hourly allowance."""
        account, limit = self._account(user), self._limits.requests_per_hour
        used = min(account.used, limit)
        return {"limit": limit, "remaining": limit - used, "used": used, "reset": int(account.hour_began) + 3600}

    def headers(self, user: User) -> dict[str, str]:
        """Returns the headers that go with each answer."""
        named = {f"x-ratelimit-{name}": str(value) for name, value in self.overview(user).items()}
        return named | {"x-ratelimit-resource": "core"}

    @contextmanager
    def request(self, user: User, operation: Operation) -> Iterator[None]:
        """Counts one request while it runs; RefusedError when it is over a limit."""
        account = self._account(user)
        if operation.id != "rate-limit/get":
            self._primary(account, user)
            self._secondary(account, operation)
        account.running += 1
        try:
            yield
        finally:
            account.running -= 1

    def _primary(self, account: _Account, user: User) -> None:
        if account.used >= self._limits.requests_per_hour:
            raise RefusedError(403, f"API rate limit exceeded for user ID {user.id}.")
        account.used += 1

    def _secondary(self, account: _Account, operation: Operation) -> None:
        limits, now = self._limits, self._clock()
        while account.points and now - account.points[0][0] >= 60:
            account.points.popleft()
        while account.created and now - account.created[0] >= 3600:
            account.created.popleft()
        cost = 1 if operation.reads else 5
        creates = operation.id in _CREATES
        last_minute = sum(now - moment < 60 for moment in account.created)
        if (
            account.running >= limits.concurrent
            or sum(points for _, points in account.points) + cost > limits.points_per_minute
            or (creates and last_minute >= limits.content_per_minute)
            or (creates and len(account.created) >= limits.content_per_hour)
        ):
            message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            raise RefusedError(
                limits.secondary_status,
                message,
                headers={"Retry-After": str(limits.secondary_retry_after)},
            )
        account.points.append((now, cost))
        if creates:
            account.created.append(now)

    def forgive(self, user: User) -> None:
        """Takes back the last request from the hourly allowance (an answer 304 costs nothing)."""
        self._account(user).used -= 1
