"""Reads fields out of a host's answers; an answer without one is UnavailableError, never another exception."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.webhooks.hosts.base import UnavailableError
from services.webhooks.hosts.payload import SHA


def item(value: Any, *names: str) -> Any:
    """Answer what lies under the names, None where something on the way is missing."""
    for name in names:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def text(value: Any, *names: str) -> str:
    """Answer the text under the names, which must be there."""
    found = item(value, *names)
    if not isinstance(found, str):
        raise UnavailableError(f"the host's answer lacks {'.'.join(names)}")
    return found


def number(value: Any, *names: str) -> int:
    """Answer the integer under the names, which must be there."""
    found = item(value, *names)
    if not isinstance(found, int) or isinstance(found, bool):
        raise UnavailableError(f"the host's answer lacks {'.'.join(names)}")
    return found


def time(value: Any, *names: str) -> datetime:
    """Answer the moment under the names, which must be there."""
    try:
        found = datetime.fromisoformat(text(value, *names))
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise UnavailableError(f"the host's {'.'.join(names)} is not a moment")
    return found


def sha(value: Any, *names: str) -> str:
    """Answer the full hash under the names, which must be there."""
    found = text(value, *names)
    if not SHA.fullmatch(found):
        raise UnavailableError(f"the host's {'.'.join(names)} is not the full hash of an object")
    return found
