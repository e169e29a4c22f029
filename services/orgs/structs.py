"""Free-form objects: google.protobuf.Struct to Python and back."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct, Value

from services.kit.errors import AppError, Reason, Violation


def plain(struct: Struct, path: str) -> dict[str, object]:
    """Answer a free-form object with whole numbers as int. Raises AppError(INVALID_REQUEST) for NaN and infinity."""
    return {name: _plain(value, f"{path}.{name[:100]}") for name, value in struct.fields.items()}


def struct(value: Mapping[str, object]) -> Struct:
    """Build a free-form object."""
    made = Struct()
    json_format.ParseDict(dict(value), made)
    return made


def _plain(value: Value, path: str) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain(value.struct_value, path)
    if kind == "list_value":
        return [_plain(item, f"{path}[{index}]") for index, item in enumerate(value.list_value.values)]
    if kind == "number_value":
        number = value.number_value
        if not isfinite(number):
            raise AppError(Reason.INVALID_REQUEST, violations=[Violation(path, "must be a number of JSON")])
        return int(number) if number.is_integer() else number
    return None if kind in (None, "null_value") else getattr(value, kind)
