from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class FindMissingRequest(_message.Message):
    __slots__ = ("envelope_ids",)
    ENVELOPE_IDS_FIELD_NUMBER: _ClassVar[int]
    envelope_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, envelope_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class FindMissingResponse(_message.Message):
    __slots__ = ("missing_ids",)
    MISSING_IDS_FIELD_NUMBER: _ClassVar[int]
    missing_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, missing_ids: _Optional[_Iterable[str]] = ...) -> None: ...
