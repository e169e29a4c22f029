"""Identifiers: UUID version 7, so that they sort by the time they were made (RFC 9562 section 5.7)."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_allotted: ContextVar[uuid.UUID | None] = ContextVar("allotted", default=None)


def new_id() -> uuid.UUID:
    """Answer a new identifier; the first 48 bits are milliseconds since 1970."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def resource_id() -> uuid.UUID:
    """Answer the identifier of what this call makes: the one that its idempotency key was allotted, else a new one."""
    return _allotted.get() or new_id()


@contextmanager
def allotted(identifier: uuid.UUID) -> Iterator[None]:
    """Have `resource_id` answer this one."""
    token = _allotted.set(identifier)
    try:
        yield
    finally:
        _allotted.reset(token)
