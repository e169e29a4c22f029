"""What came in, what was wrong with it, and what was wrong with the emulator itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r"gh[pousr]_[A-Za-z0-9_.\-]+|github_pat_[A-Za-z0-9_]+")
REDACTED = "[redacted]"


@dataclass
class RequestRecord:
    """One request; `operation` is None where the description has none, `status` None until answered and when cut."""

    method: str
    path: str
    query: str
    operation: str | None
    user: str | None
    headers: Mapping[str, str]
    body: Any
    status: int | None = None
    finished: bool = False


@dataclass(frozen=True)
class Violation:
    """A request broke the description or a rule of the protocol that a well-made client never breaks."""

    operation: str | None
    message: str


class EmulatorDefectError(AssertionError):
    """The emulator gave an answer that the host's own description doesn't allow."""


class Recorder:
    """Keeps records in order of arrival, without any token."""

    def __init__(self) -> None:
        self.requests: list[RequestRecord] = []
        self.violations: list[Violation] = []
        self.defects: list[str] = []
        self._changed = asyncio.Condition()

    def violation(self, operation: str | None, messages: Iterable[str]) -> None:
        """Notes what a request broke."""
        self.violations += [Violation(operation, message) for message in messages]

    async def finish(self, record: RequestRecord, status: int | None) -> None:
        """Notes how a request ended and wakes those who wait for it."""
        record.status, record.finished = status, True
        async with self._changed:
            self._changed.notify_all()

    def calls(self, operation: str | None = None) -> list[RequestRecord]:
        """Returns the requests of one operation, or all."""
        return [record for record in self.requests if operation in (None, record.operation)]

    async def wait_for(self, operation: str, count: int) -> list[RequestRecord]:
        """Waits until that many requests of an operation are finished, and returns them."""

        def done() -> list[RequestRecord]:
            return [record for record in self.calls(operation) if record.finished]

        async with self._changed:
            await self._changed.wait_for(lambda: len(done()) >= count)
            return done()


def redacted(text: str, tokens: Iterable[str]) -> str:
    """Returns the text without tokens: those in use, and all that look like GitHub's."""
    for token in tokens:
        text = text.replace(token, REDACTED)
    return _TOKEN.sub(REDACTED, text)


def redacted_headers(headers: Mapping[str, str], tokens: Iterable[str]) -> dict[str, str]:
    """Returns the headers without credentials."""
    known = tuple(tokens)
    return {
        name: REDACTED if name in ("authorization", "cookie", "proxy-authorization") else redacted(value, known)
        for name, value in headers.items()
    }
