"""How JSON names enumeration values: without their prefix, in lower case unless the enumeration says otherwise."""

import re
from functools import cache

from google.protobuf.descriptor import EnumDescriptor
from lintel.common.v1 import options_pb2

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
NULL_VALUE = "google.protobuf.NullValue"


@cache
def names_by_number(enum: EnumDescriptor) -> dict[int, str | None]:
    """Answer the JSON name of each value; the value 0 named UNSPECIFIED is None."""
    prefix = _WORD.sub("_", enum.name).upper() + "_"
    is_upper = enum.GetOptions().Extensions[options_pb2.upper_case_json]
    names: dict[int, str | None] = {}
    for value in enum.values:
        name = value.name.removeprefix(prefix)
        if value.number == 0 and name == "UNSPECIFIED":
            names[0] = None
        else:
            names.setdefault(value.number, name if is_upper else name.lower())
    return names


@cache
def numbers_by_name(enum: EnumDescriptor) -> dict[str, int]:
    """Answer the value of each JSON name."""
    return {name: number for number, name in names_by_number(enum).items() if name is not None}
