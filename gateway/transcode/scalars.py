"""JSON values and query texts to the values of proto fields; a Fault says what was expected."""

import base64
import binascii
import math
import re
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from gateway.transcode.names import numbers_by_name

_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
_MAX_FLOAT32 = 3.4028234663852886e38
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


class Fault(Exception):  # noqa: N818 - caught where the name of the field is known
    """A value that does not fit its field; the text says what would."""


def from_json(field: FieldDescriptor, value: Any) -> Any:
    """Answer a scalar JSON value as the field takes it. Raises Fault."""
    if field.enum_type is not None:
        return _enum(field.enum_type, value)
    kind = field.cpp_type
    if kind in _RANGES:
        return _integer(kind, value)
    if kind in _FLOATS:
        return _float(kind, value)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            raise Fault("must be true or false")
        return value
    if not isinstance(value, str):
        raise Fault("must be a string")
    return _bytes(value) if field.type == FieldDescriptor.TYPE_BYTES else value


def from_text(field: FieldDescriptor, text: str) -> Any:
    """Answer a text of the path or the query as the field takes it. Raises Fault."""
    kind = field.cpp_type
    if kind in _RANGES:
        return _integer(kind, int(text) if _INTEGER.fullmatch(text) else text)
    if kind in _FLOATS:
        return _float(kind, float(text) if _NUMBER.fullmatch(text) else text)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return from_json(field, {"true": True, "false": False}.get(text, text))
    return from_json(field, text)


def _integer(kind: int, value: Any) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        value = int(value)
    low, high = _RANGES[kind]
    if isinstance(value, bool) or not isinstance(value, int):
        raise Fault("must be a whole number")
    if not low <= value <= high:
        raise Fault(f"must lie between {low} and {high}")
    return value


def _float(kind: int, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Fault("must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or (kind == FieldDescriptor.CPPTYPE_FLOAT and abs(number) > _MAX_FLOAT32):
        raise Fault("is too large")
    return number


def _enum(enum: EnumDescriptor, value: Any) -> int:
    numbers = numbers_by_name(enum)
    if not isinstance(value, str) or value not in numbers:
        raise Fault("must be one of " + ", ".join(numbers))
    return numbers[value]


def _bytes(text: str) -> bytes:
    standard = text.replace("-", "+").replace("_", "/")
    if not _BASE64.fullmatch(standard):
        raise Fault("must be base64")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4))
    except binascii.Error:
        raise Fault("must be base64") from None
