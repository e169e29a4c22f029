"""Reads JSON that a host, or whoever has its secret, sent: strict about what JSON leaves open, and never surprised."""

import json
import re
from typing import Any

SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
MAX_REF = 1024
MAX_NUMBER = 2**31 - 1
MAX_ID = 2**63 - 1
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class OddError(Exception):
    """The body is not what the host sends; the text says where."""


def load(body: bytes) -> dict[str, Any]:
    """Answer the object of a body. Raises OddError."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise OddError("the body is not UTF-8") from None
    except RecursionError:
        raise OddError("the JSON is nested too deeply") from None
    except ValueError as error:  # also an integer of more digits than Python reads
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise OddError(f"the body is not valid JSON{where}") from None
    if not isinstance(value, dict):
        raise OddError("the JSON is not an object")
    if _SURROGATE_ESCAPE.search(body) and _has_surrogate(value):
        raise OddError("the JSON holds half a character (a lone surrogate)")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise OddError("the JSON has the same key twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise OddError(f"the JSON holds {name}, which is no JSON value")


def _has_surrogate(root: Any) -> bool:
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and _SURROGATE.search(value):
            return True
        if isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False


def member(parent: dict[str, Any], name: str) -> dict[str, Any]:
    """Answer the object under a name. Raises OddError."""
    value = parent.get(name)
    if not isinstance(value, dict):
        raise OddError(f"{name} is missing or not an object")
    return value


def text(parent: dict[str, Any], name: str, longest: int) -> str:
    """Answer the printable, non-empty text under a name. Raises OddError."""
    value = parent.get(name)
    if not isinstance(value, str) or not value:
        raise OddError(f"{name} is missing or not a text")
    if len(value) > longest or not value.isprintable():
        raise OddError(f"{name} is too long or holds control characters")
    return value


def integer(parent: dict[str, Any], name: str, largest: int) -> int:
    """Answer the positive number under a name. Raises OddError."""
    value = parent.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= largest:
        raise OddError(f"{name} is missing or not a positive number")
    return value
