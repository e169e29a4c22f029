"""What a caller shows: an API key, or an access token that is renewed before it ends."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from client.errors import RefusedError

EARLY_SECONDS = 30.0  # a token this near its end is renewed first, so that no call meets the end on its way


@dataclass(frozen=True, slots=True)
class Tokens:
    """An access token with the seconds it lives, and the refresh token that is good for the next pair, once."""

    access: str
    refresh: str
    lives: float


Renew = Callable[[str], Tokens]  # refresh token -> the next pair; raises RefusedError, UnavailableError


class Credential(Protocol):
    """Answers the bearer token for the next call."""

    def token(self, renew: Renew) -> str:
        """Answer a token that is good now."""

    def spoilt(self, token: str) -> bool:
        """Note that a token was refused; answer whether another may be had."""


class ApiKey:
    """A key that does not change."""

    def __init__(self, key: str) -> None:
        self._key = checked(key)

    def token(self, renew: Renew) -> str:
        """Answer the key."""
        return self._key

    def spoilt(self, token: str) -> bool:
        """There is no other."""
        return False


class Session:
    """A signed-in person's tokens. Threads share it; the refresh token is used once, by one of them.

    `keep` is told of each new pair, for example to store it: the old refresh token is worth nothing then.
    """

    def __init__(
        self,
        tokens: Tokens,
        keep: Callable[[Tokens], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._keep = keep
        self._clock = clock
        self._until = clock() + tokens.lives
        self._lock = threading.Lock()

    def token(self, renew: Renew) -> str:
        """Answer the access token, a new one where it is about to end."""
        with self._lock:
            if self._clock() >= self._until - EARLY_SECONDS:
                self._tokens = renew(self._tokens.refresh)
                self._until = self._clock() + self._tokens.lives
                if self._keep is not None:
                    self._keep(self._tokens)
            return self._tokens.access

    def spoilt(self, token: str) -> bool:
        """Have the next call renew, unless another thread has done so already."""
        with self._lock:
            if token == self._tokens.access:
                self._until = self._clock()
        return True


def checked(token: str) -> str:
    """Answer the token; raises RefusedError for what can't be one, without showing it."""
    if not token or not token.isascii() or not token.isprintable():
        raise RefusedError("the token holds characters that no token of Lintel has")
    return token
