"""The JSON form of every kind of field, there and back."""

import string
from typing import Any

import pytest
from google.protobuf import struct_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from lintel.review.v1 import review_pb2

from gateway.problems import to_bytes
from gateway.transcode.decode import Decoder
from gateway.transcode.encode import to_json
from gateway.transcode.names import names_by_number
from gateway.transcode.parse import parse_json
from services.kit.errors import AppError

SCALARS = {
    "f_double": Field.TYPE_DOUBLE,
    "f_float": Field.TYPE_FLOAT,
    "f_int32": Field.TYPE_INT32,
    "f_int64": Field.TYPE_INT64,
    "f_uint32": Field.TYPE_UINT32,
    "f_uint64": Field.TYPE_UINT64,
    "f_bool": Field.TYPE_BOOL,
    "f_string": Field.TYPE_STRING,
    "f_bytes": Field.TYPE_BYTES,
}


def _all_kinds() -> type[Message]:
    file = FileDescriptorProto(name="all.proto", package="all", syntax="proto3")
    message = file.message_type.add(name="All")
    entry = message.nested_type.add(name="MapEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=Field.TYPE_INT32, label=Field.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
    for number, (name, kind) in enumerate(SCALARS.items(), 1):
        message.field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
    references = {"self": ".all.All", "time": ".google.protobuf.Timestamp", "span": ".google.protobuf.Duration"}
    references |= {"free": ".google.protobuf.Struct", "any_value": ".google.protobuf.Value"}
    for number, (name, kind_name) in enumerate(references.items(), 20):
        message.field.add(
            name=name, number=number, type=Field.TYPE_MESSAGE, type_name=kind_name, label=Field.LABEL_OPTIONAL
        )
    message.field.add(
        name="map", number=30, type=Field.TYPE_MESSAGE, type_name=".all.All.MapEntry", label=Field.LABEL_REPEATED
    )
    message.field.add(name="many", number=31, type=Field.TYPE_UINT64, label=Field.LABEL_REPEATED)
    pool = DescriptorPool()
    for module in (Timestamp, Duration, struct_pb2.Struct):
        pool.AddSerializedFile(module.DESCRIPTOR.file.serialized_pb)
        file.dependency.append(module.DESCRIPTOR.file.name)
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("all.All"))


All: Any = _all_kinds()


def decode(value: Any) -> tuple[Any, list[tuple[str, str]]]:
    message, decoder = All(), Decoder()
    decoder.object_into(message, value)
    return message, [(v.field, v.description) for v in decoder.violations]


def test_an_empty_message_shows_every_field() -> None:
    assert to_json(All()) == {
        "fDouble": 0.0, "fFloat": 0.0, "fInt32": 0, "fInt64": 0, "fUint32": 0, "fUint64": 0, "fBool": False,
        "fString": "", "fBytes": "", "self": None, "time": None, "span": None, "free": None, "anyValue": None,
        "map": {}, "many": [],
    }  # fmt: skip


texts = st.text(st.characters(codec="utf-8"), max_size=20)
kinds = {
    "fDouble": st.floats(allow_nan=False, allow_infinity=False),
    "fInt32": st.integers(-(2**31), 2**31 - 1),
    "fInt64": st.integers(-(2**63), 2**63 - 1),
    "fUint32": st.integers(0, 2**32 - 1),
    "fUint64": st.integers(0, 2**64 - 1),
    "fBool": st.booleans(),
    "fString": texts,
    "many": st.lists(st.integers(0, 2**64 - 1), max_size=3),
    "map": st.dictionaries(st.integers(-(2**31), 2**31 - 1).map(str), texts, max_size=3),
}


@given(st.fixed_dictionaries({}, optional=kinds))
def test_what_goes_in_comes_out(value: dict[str, Any]) -> None:
    message, violations = decode(parse_json(to_bytes({"self": value})))
    assert violations == []
    shown = parse_json(to_bytes(to_json(message)))["self"]
    assert {name: shown[name] for name in value} == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([f.json_name for f in All.DESCRIPTOR.fields]) | texts, json_values))
def test_any_json_is_taken_or_named(value: dict[str, Any]) -> None:
    message, violations = decode(value)
    to_bytes(to_json(message))
    assert all(field for field, _ in violations)


@given(st.binary(max_size=200) | st.text(string.punctuation + "0123456789truefalsn", max_size=60).map(str.encode))
def test_any_bytes_are_json_or_refused(body: bytes) -> None:
    try:
        parse_json(body)
    except AppError as error:
        assert error.reason == "INVALID_REQUEST"


@pytest.mark.parametrize(
    ("value", "field", "word"),
    [
        ({"fInt32": 2**31}, "fInt32", "between"),
        ({"fUint64": -1}, "fUint64", "between"),
        ({"fInt32": 1.5}, "fInt32", "whole"),
        ({"fInt32": True}, "fInt32", "whole"),
        ({"fInt64": "1"}, "fInt64", "whole"),
        ({"fDouble": 10**400}, "fDouble", "large"),
        ({"fFloat": 1e39}, "fFloat", "large"),
        ({"fBool": 1}, "fBool", "true or false"),
        ({"fString": 1}, "fString", "string"),
        ({"fBytes": "a=b"}, "fBytes", "base64"),
        ({"fBytes": "abcde"}, "fBytes", "base64"),
        ({"self": []}, "self", "object"),
        ({"self": {"self": {"x": 1}}}, "self.self.x", "known"),
        ({"many": {}}, "many", "array"),
        ({"many": [1, "x"]}, "many[1]", "whole"),
        ({"map": []}, "map", "object"),
        ({"map": {"x": "y"}}, "map.x", "whole"),
        ({"map": {"1": 2}}, "map.1", "string"),
        ({"time": "2026-13-01T00:00:00Z"}, "time", "RFC 3339"),
        ({"time": {}}, "time", "RFC 3339"),
        ({"span": "1 minute"}, "span", "duration"),
        ({"free": []}, "free", "shape"),
        ({"x" * 500: 1}, "x" * 100 + "…", "known"),
    ],
)
def test_what_does_not_fit_is_named(value: dict[str, Any], field: str, word: str) -> None:
    _, ((named, description),) = decode(value)
    assert named == field
    assert word in description


def test_depth_and_number_of_faults_are_bounded() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = {"a": deep}
    assert decode({"free": deep})[1] == [("free", "is nested deeper than 32")]
    assert len(decode({f"x{i}": 1 for i in range(1000)})[1]) == 50


def test_null_is_absent_but_for_a_value() -> None:
    message, violations = decode(
        {"fInt32": None, "self": None, "time": None, "many": None, "map": None, "anyValue": None}
    )
    assert violations == []
    assert [f.name for f, _ in message.ListFields()] == ["any_value"]
    assert decode({"many": [None]})[1][0][0] == "many[0]"


def test_times_bytes_and_free_objects() -> None:
    value = {"time": "2026-01-02T03:04:05.600Z", "span": "1.500s", "fBytes": "AP8=", "free": {"a": [1, None, "x"]}}
    message, violations = decode(value)
    assert violations == []
    shown = to_json(message)
    assert {name: shown[name] for name in value} == value
    assert message.f_bytes == b"\x00\xff"
    assert decode({"time": "2026-01-02T05:04:05+02:00"})[0].time == decode({"time": "2026-01-02T03:04:05Z"})[0].time


def test_numbers_json_cannot_say_are_null() -> None:
    assert to_json(All(f_double=float("nan"), f_float=float("inf")))["fDouble"] is None


def test_enumerations() -> None:
    assert names_by_number(review_pb2.Side.DESCRIPTOR) == {0: None, 1: "LEFT", 2: "RIGHT"}
    assert names_by_number(review_pb2.ReviewState.DESCRIPTOR)[3] == "published"
    assert to_json(review_pb2.Finding(severity=99))["severity"] == "unknown_99"  # type: ignore[arg-type]
