"""JSON as it must be: one value, no key twice, no NaN, bounded; the words for what is wrong quote nothing of it."""

import json
from typing import Any

MAX_CHARACTERS = 2_000_000


class InvalidAnswerError(Exception):
    """The answer of a model cannot be used; the message may be told to it and to people."""


def parse(text: str) -> Any:
    """Parse one JSON value; raises InvalidAnswerError."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidAnswerError("the answer is too long")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except InvalidAnswerError:
        raise
    except json.JSONDecodeError as error:
        raise InvalidAnswerError(f"not valid JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError):
        raise InvalidAnswerError("not valid JSON: nested too deeply, or a number is too long") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidAnswerError("an object has the same key twice")
    return found


def _constant(name: str) -> Any:
    raise InvalidAnswerError("NaN and Infinity are not JSON")
