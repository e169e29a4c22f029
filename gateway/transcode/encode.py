"""Messages to JSON in the shape of the contract: every field present, numbers as numbers, absent objects null."""

import base64
import math
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.transcode.names import names_by_number

Json: TypeAlias = Any
_Encoder: TypeAlias = Callable[[Any], Json]
# These have a JSON form of their own (times are RFC 3339, durations "1.5s").
WELL_KNOWN = frozenset(
    f"google.protobuf.{name}"
    for name in ("Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue", "Empty", "StringValue")
)


def to_json(message: Message) -> dict[str, Json]:
    """Answer a message as a JSON object; raises ValueError for a time outside of RFC 3339's range."""
    return {name: read(message) for name, read in _readers(message.DESCRIPTOR)}


@cache
def _readers(descriptor: Descriptor) -> tuple[tuple[str, _Encoder], ...]:
    return tuple((field.json_name, _reader(field)) for field in descriptor.fields)


def _reader(field: FieldDescriptor) -> _Encoder:
    name = field.name
    if is_map(field):
        encode_value = _value(map_entry(field)[1])
        return lambda m: {str(k): encode_value(v) for k, v in sorted(getattr(m, name).items())}
    encode = _value(field)
    if field.is_repeated:
        return lambda m: [encode(v) for v in getattr(m, name)]
    if field.has_presence:
        return lambda m: encode(getattr(m, name)) if m.HasField(name) else None
    return lambda m: encode(getattr(m, name))


def _value(field: FieldDescriptor) -> _Encoder:
    if field.message_type is not None:
        return _well_known if field.message_type.full_name in WELL_KNOWN else to_json
    if field.enum_type is not None:
        names = names_by_number(field.enum_type)
        return lambda number: names.get(number, f"unknown_{number}")
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda data: base64.b64encode(data).decode()
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return lambda number: number if math.isfinite(number) else None
    return _as_is


def _well_known(message: Message) -> Json:
    return json_format.MessageToDict(message)


def _as_is(value: Json) -> Json:
    return value


def is_map(field: FieldDescriptor) -> bool:
    """Tell whether a field is a map, which JSON shows as an object."""
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def map_entry(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    """Answer the fields that stand for the keys and the values of a map."""
    assert field.message_type is not None
    return field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
