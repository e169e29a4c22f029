"""JSON Schemas (2020-12) of messages, in the very shape that the transcoder reads and writes."""

from typing import Any, TypeAlias

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway.openapi.comments import comments
from gateway.transcode.encode import is_map, map_entry
from gateway.transcode.names import names_by_number

Schema: TypeAlias = dict[str, Any]

_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.StringValue": {"type": "string"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Empty": {"type": "object", "additionalProperties": False},
}
_INTEGERS: dict[int, Schema] = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_INT64: {"type": "integer", "format": "int64"},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    FieldDescriptor.CPPTYPE_UINT64: {"type": "integer", "minimum": 0, "maximum": 2**64 - 1},
}
_STRING_FORMATS = ("uuid", "email", "uri", "hostname", "ip", "ipv4", "ipv6")


class Schemas:
    """Collects the schemas of messages; a message is described once and referred to.

    In requests every field may be left out and nothing unknown may be added; in responses every field is there.
    """

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def reference(self, message: Descriptor, *, is_request: bool, skip: frozenset[str] = frozenset()) -> Schema:
        """Answer a reference to the schema of a message, made on first use, without the fields in `skip`."""
        if message.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[message.full_name])
        name = message.full_name.replace("lintel.", "", 1)
        name = f"{name}.Input" if is_request and not message.name.endswith("Request") else name
        if name not in self.components:
            self.components[name] = {}  # first, for messages that hold themselves
            self.components[name] = self._object(message, is_request, skip)
        return {"$ref": f"#/components/schemas/{name}"}

    def field(self, field: FieldDescriptor, *, is_request: bool) -> Schema:
        """Answer the schema of a field as it stands in an object, with its comment and its rules."""
        if is_map(field):
            inner = self._single(map_entry(field)[1], is_request)
            schema: Schema = {"type": "object", "additionalProperties": inner}
        elif field.is_repeated:
            schema = {"type": "array", "items": self._single(field, is_request)}
        else:
            schema = self._single(field, is_request)
            if not is_request and (field.has_presence or field.enum_type is not None):
                schema = _or_null(schema)
        if is_request:
            _add_rules(schema, field)
        if text := comments().get(field.full_name):
            schema["description"] = text
        return schema

    def _object(self, message: Descriptor, is_request: bool, skip: frozenset[str]) -> Schema:
        fields = [f for f in message.fields if f.name not in skip]
        schema: Schema = {
            "type": "object",
            "properties": {f.json_name: self.field(f, is_request=is_request) for f in fields},
        }
        if text := comments().get(message.full_name):
            schema["description"] = text
        if is_request:
            schema["additionalProperties"] = False
        required = [f.json_name for f in fields if not is_request or _is_required(f)]
        return schema | ({"required": required} if required else {})

    def _single(self, field: FieldDescriptor, is_request: bool) -> Schema:
        if field.message_type is not None:
            return self.reference(field.message_type, is_request=is_request)
        if field.enum_type is not None:
            return _enum(field.enum_type)
        if field.cpp_type in _INTEGERS:
            return dict(_INTEGERS[field.cpp_type])
        if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return {"type": "number"}
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return {"type": "boolean"}
        if field.type == FieldDescriptor.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64"}
        return {"type": "string"}


def _enum(enum: EnumDescriptor) -> Schema:
    names = names_by_number(enum)
    told = [
        f"`{names[v.number]}`: {text}"
        for v in enum.values
        if names[v.number] is not None and (text := comments().get(f"{enum.full_name}.{v.name}"))
    ]
    schema: Schema = {"type": "string", "enum": [name for name in names.values() if name is not None]}
    return schema | ({"description": " ".join(told)} if told else {})


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _rules(field: FieldDescriptor) -> Any:
    options = field.GetOptions()
    return options.Extensions[validate_pb2.field] if options.HasExtension(validate_pb2.field) else None


def _is_required(field: FieldDescriptor) -> bool:
    """Tell whether a request without the field breaks its rules."""
    rules = _rules(field)
    if rules is None:
        return False
    if any(d.name == "required" and value for d, value in rules.ListFields()):
        return True
    of_string = rules.string if rules.HasField("string") else None
    return of_string is not None and any(
        value for d, value in of_string.ListFields() if d.name in ("min_len", *_STRING_FORMATS)
    )


def _add_rules(schema: Schema, field: FieldDescriptor) -> None:
    """Write protovalidate's rules in JSON Schema's words, as far as it has words for them."""
    rules = _rules(field)
    for kind, of_kind in rules.ListFields() if rules is not None else ():
        if kind.message_type is None:
            continue
        for rule, value in of_kind.ListFields():
            if word := _WORDS.get((kind.name, rule.name)) or _WORDS.get(("*", rule.name)):
                schema[word] = value
            elif rule.name in _STRING_FORMATS and value is True:
                schema["format"] = rule.name


_WORDS = {
    ("string", "min_len"): "minLength",
    ("string", "max_len"): "maxLength",
    ("string", "pattern"): "pattern",
    ("repeated", "min_items"): "minItems",
    ("repeated", "max_items"): "maxItems",
    ("repeated", "unique"): "uniqueItems",
    ("map", "max_pairs"): "maxProperties",
    ("*", "gte"): "minimum",
    ("*", "lte"): "maximum",
    ("*", "gt"): "exclusiveMinimum",
    ("*", "lt"): "exclusiveMaximum",
}
