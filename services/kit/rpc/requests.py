"""What a request can be that no rule in a proto speaks of: bytes that are no message, and text with NUL."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from services.kit.errors import Violation

UNREADABLE: Final = object()
_RULE = "string.nul"
_SHOWN = 40  # characters of a caller's own key that an answer repeats


def tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Answer a deserializer that gives UNREADABLE for bytes that are no message.

    What it raises gRPC would send to the caller in its own words, and log with a traceback, before anybody knows who
    is calling.
    """
    if deserialize is None:
        return None

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return UNREADABLE

    return read


def nul_violations(message: Message, path: str = "") -> Iterator[Violation]:
    """Yield a violation for each text that holds NUL, which Postgres does not store and no rule declares each time."""
    for field, value in message.ListFields():
        name = f"{path}{field.name}"
        if _is_map(field):
            values = [(f"{name}[{str(key)[:_SHOWN]}]", item) for key, item in value.items()]
            if any("\0" in key for key in value if isinstance(key, str)):
                yield Violation(name, "a key holds NUL", _RULE)
        else:
            values = [(f"{name}[{i}]", item) for i, item in enumerate(value)] if field.is_repeated else [(name, value)]
        for where, item in values:
            if isinstance(item, str) and "\0" in item:
                yield Violation(where, "must not hold NUL", _RULE)
            elif isinstance(item, Message):
                yield from nul_violations(item, f"{where}.")


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)
