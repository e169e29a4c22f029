"""JSON out of what models write: read strictly, but for what real models put around it."""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema

_THINKING = re.compile(r"\s*<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_UNENDED = re.compile(r"<(think|thinking|reasoning)>", re.IGNORECASE)
_FENCE = re.compile(r"```[A-Za-z0-9_-]*[ \t]*\r?\n(.*?)\r?\n?[ \t]*```", re.DOTALL)
_MAX_REASON = 300
_MAX_STARTS = 20  # braces at which an object is looked for in prose


class UnusableError(ValueError):
    """Not the JSON that was asked for; the message can be shown to the model."""


def find(text: str) -> tuple[Any, str, bool]:
    """Answer the JSON object in a text (or array that is all of it), its own text, and whether nothing stood around it.

    Thinking before it, a code fence and prose around it are tolerated; duplicate keys, NaN and everything else that
    JSON does not have are not. UnusableError where there is none.
    """
    plain = text.strip().removeprefix("\ufeff")
    try:
        return _loads(plain), plain, True
    except UnusableError as error:
        first = error
    spoken = without_thinking(plain)
    if _UNENDED.match(spoken):
        raise UnusableError("it ends before the thinking does")
    fenced = [found[1] for found in _FENCE.finditer(spoken)]
    for candidate in (*reversed(fenced), spoken):
        cut = _cut(candidate)
        if cut is not None:
            return _loads(cut), cut, False
    raise first


def without_thinking(text: str) -> str:
    """Answer a text without the thinking that some models write before it."""
    found = _THINKING.match(text)
    return text[found.end() :].strip() if found else text


def problem(value: Any, schema_text: str) -> str | None:
    """Answer where a value does not fit a JSON Schema, None where it does; additional properties are no matter."""
    for error in _validator(schema_text).iter_errors(value):
        if error.validator == "additionalProperties":
            continue
        at = "/".join(map(str, error.absolute_path)) or "the top"
        return f"at {at}: {error.message}"[:_MAX_REASON]
    return None


def parse_schema(schema_text: str) -> Mapping[str, Any]:
    """Answer the JSON Schema of a request; ValueError where it is none."""
    schema = json.loads(schema_text)
    if not isinstance(schema, dict):
        raise ValueError("a JSON Schema is an object")
    return schema


@functools.lru_cache(maxsize=64)
def _validator(schema_text: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(parse_schema(schema_text))


def _cut(text: str) -> str | None:
    start = -1
    for _ in range(_MAX_STARTS):
        start = text.find("{", start + 1)
        if start < 0:
            return None
        try:
            _, end = json.JSONDecoder().raw_decode(text, start)
            _loads(text[start:end])
        except (ValueError, RecursionError):
            continue
        return text[start:end]
    return None


def _loads(text: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise UnusableError("it is nested too deeply") from None
    except UnusableError:
        raise
    except ValueError as error:
        raise UnusableError(f"it is not JSON: {error}"[:_MAX_REASON]) from None
    if not isinstance(value, (dict, list)):
        raise UnusableError("it is no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UnusableError("it has the same key twice in one object")
    return found


def _refuse(constant: str) -> Any:
    raise UnusableError(f"it has {constant}, which JSON does not know")
