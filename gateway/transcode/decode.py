"""JSON objects and query strings to messages; everything that does not fit is collected and named."""

from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.transcode.encode import WELL_KNOWN, is_map, map_entry
from gateway.transcode.scalars import Fault, from_json, from_text
from services.kit.errors import Violation

MAX_PARAMETERS = 100
MAX_VIOLATIONS = 50  # enough to mend a request by, and a bound on the size of the answer
_MAX_NAME = 100  # characters of a caller's own name that an answer repeats
_FREE_FORM_DEPTH = 32  # of google.protobuf.Struct; the runtime itself ends at 100
_SHAPES = {"Timestamp": "an RFC 3339 time", "Duration": 'a duration such as "1.5s"', "FieldMask": "a field mask"}


class Decoder:
    """Fills one message; `violations` holds what did not fit, under the names JSON uses."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def object_into(self, message: Message, value: Any, path: str = "", skip: frozenset[str] = frozenset()) -> None:
        """Put a JSON object into a message; fields in `skip` (JSON names) may not appear."""
        if not isinstance(value, dict):
            self._fault(path, "must be an object")
            return
        fields = _by_json_name(message.DESCRIPTOR)
        for name, item in value.items():
            field, where = fields.get(name), f"{path}.{_shown(name)}" if path else _shown(name)
            if field is None:
                self._fault(where, "is not a known field")
            elif name in skip:
                self._fault(where, "is given in the path")
            else:
                self._field_into(message, field, item, where)

    def query_into(self, message: Message, query: bytes, allowed: frozenset[str]) -> None:
        """Put the parameters of a query string into a message; only top-level fields in `allowed` (JSON names)."""
        fields, seen = _by_json_name(message.DESCRIPTOR), set[str]()
        parts = [part for part in query.split(b"&") if part]
        if len(parts) > MAX_PARAMETERS:
            self._fault("", f"has more than {MAX_PARAMETERS} parameters")
            return
        for part in parts:
            raw_name, _, raw_text = part.partition(b"=")
            name, text = _unquoted(raw_name), _unquoted(raw_text)
            if name is None or text is None:
                self._fault(_shown(raw_name.decode("ascii", "replace")), "is not UTF-8")
                continue
            field = fields.get(name) if name in allowed else None
            if field is None:
                self._fault(_shown(name), "is not a known query parameter")
            elif name in seen and not field.is_repeated:
                self._fault(name, "is given twice")
            else:
                seen.add(name)
                self.text_into(message, field, text)

    def text_into(self, message: Message, field: FieldDescriptor, text: str) -> None:
        """Put one text of the path or the query into a field."""
        try:
            if field.message_type is not None:
                value: Any = _well_known(field.message_type, text)
            else:
                value = from_text(field, text)
        except Fault as fault:
            self._fault(field.json_name, str(fault))
            return
        _set(message, field, value)

    def _field_into(self, message: Message, field: FieldDescriptor, value: Any, path: str) -> None:
        if value is None and _is_nullable(field):
            return
        if is_map(field):
            self._map_into(message, field, value, path)
        elif field.is_repeated:
            if not isinstance(value, list):
                self._fault(path, "must be an array")
                return
            for index, item in enumerate(value):
                self._item_into(message, field, item, f"{path}[{index}]")
        else:
            self._item_into(message, field, value, path)

    def _item_into(self, message: Message, field: FieldDescriptor, value: Any, path: str) -> None:
        try:
            if field.message_type is None:
                _set(message, field, from_json(field, value))
            elif field.message_type.full_name in WELL_KNOWN:
                _set(message, field, _well_known(field.message_type, value))
            else:
                target = getattr(message, field.name)
                target = target.add() if field.is_repeated else target
                target.SetInParent()
                self.object_into(target, value, path)
        except Fault as fault:
            self._fault(path, str(fault))

    def _map_into(self, message: Message, field: FieldDescriptor, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            self._fault(path, "must be an object")
            return
        key_field, value_field = map_entry(field)
        target = getattr(message, field.name)
        for name, item in value.items():
            where = f"{path}.{_shown(name)}"
            try:
                key = from_text(key_field, name)
                if value_field.message_type is None:
                    target[key] = from_json(value_field, item)
                elif value_field.message_type.full_name in WELL_KNOWN:
                    target[key].CopyFrom(_well_known(value_field.message_type, item))
                else:
                    self.object_into(target[key], item, where)
            except Fault as fault:
                self._fault(where, str(fault))

    def _fault(self, path: str, text: str) -> None:
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(Violation(path, text))


def _set(message: Message, field: FieldDescriptor, value: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).append(value)
    elif isinstance(value, Message):
        target = getattr(message, field.name)
        target.SetInParent()
        target.CopyFrom(value)
    else:
        setattr(message, field.name, value)


def _well_known(descriptor: Descriptor, value: Any) -> Message:
    shape = _SHAPES.get(descriptor.name, "JSON of another shape")
    if descriptor.name in _SHAPES and not isinstance(value, str):
        raise Fault(f"must be {shape}")
    if _depth(value) > _FREE_FORM_DEPTH:
        raise Fault(f"is nested deeper than {_FREE_FORM_DEPTH}")
    made: Message = GetMessageClass(descriptor)()
    try:
        json_format.ParseDict(value, made)
    except (json_format.ParseError, ValueError, TypeError, AttributeError):
        raise Fault(f"must be {shape}") from None
    return made


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= _FREE_FORM_DEPTH:
        level = [c for v in level if isinstance(v, (dict, list)) for c in (v.values() if isinstance(v, dict) else v)]
        depth += 1
    return depth


@cache
def _by_json_name(descriptor: Descriptor) -> dict[str, FieldDescriptor]:
    return {field.json_name: field for field in descriptor.fields}


def _is_nullable(field: FieldDescriptor) -> bool:
    return field.message_type is None or field.message_type.full_name != "google.protobuf.Value"


def _unquoted(text: bytes) -> str | None:
    try:
        return unquote_to_bytes(text.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _shown(name: str) -> str:
    if not name:
        return '""'
    return name if len(name) <= _MAX_NAME else name[:_MAX_NAME] + "…"
