from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PullRequestRef(_message.Message):
    __slots__ = ("host", "connection_id", "repository_id", "repository", "number")
    HOST_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_ID_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    host: str
    connection_id: str
    repository_id: str
    repository: str
    number: int
    def __init__(self, host: _Optional[str] = ..., connection_id: _Optional[str] = ..., repository_id: _Optional[str] = ..., repository: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class PullRequestChanged(_message.Message):
    __slots__ = ("ref", "action", "head_sha", "base_ref")
    REF_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    HEAD_SHA_FIELD_NUMBER: _ClassVar[int]
    BASE_REF_FIELD_NUMBER: _ClassVar[int]
    ref: PullRequestRef
    action: str
    head_sha: str
    base_ref: str
    def __init__(self, ref: _Optional[_Union[PullRequestRef, _Mapping]] = ..., action: _Optional[str] = ..., head_sha: _Optional[str] = ..., base_ref: _Optional[str] = ...) -> None: ...
