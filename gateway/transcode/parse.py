"""Bytes to a JSON value, stricter than the standard library: what programs read differently is refused."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from services.kit.errors import AppError, Reason


def parse_json(body: bytes) -> Any:
    """Answer the value of a UTF-8 JSON text; raises AppError(INVALID_REQUEST) with the place of the fault.

    Duplicate keys, NaN and infinities, lone surrogates and nesting beyond the interpreter's depth are refused.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"The body is not UTF-8 (byte {error.start}).") from None
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise _invalid(f"The body is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from None
    except UnicodeEncodeError:
        raise _invalid("The body holds half of a surrogate pair.") from None
    except RecursionError:
        raise _invalid("The body is nested too deeply.") from None
    except ValueError:
        raise _invalid("The body holds a number that is too long.") from None
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _invalid(f"The body holds the key {name[:64]!a} twice in one object.")
        found[name] = value
    return found


def _constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is not JSON.")


def _invalid(message: str) -> AppError:
    return AppError(Reason.INVALID_REQUEST, message)
