import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from lintel.events.v1 import pull_request_pb2 as _pull_request_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PublishOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PUBLISH_OUTCOME_UNSPECIFIED: _ClassVar[PublishOutcome]
    PUBLISH_OUTCOME_PUBLISHED: _ClassVar[PublishOutcome]
    PUBLISH_OUTCOME_PENDING: _ClassVar[PublishOutcome]
    PUBLISH_OUTCOME_SUPERSEDED: _ClassVar[PublishOutcome]
    PUBLISH_OUTCOME_REJECTED: _ClassVar[PublishOutcome]
PUBLISH_OUTCOME_UNSPECIFIED: PublishOutcome
PUBLISH_OUTCOME_PUBLISHED: PublishOutcome
PUBLISH_OUTCOME_PENDING: PublishOutcome
PUBLISH_OUTCOME_SUPERSEDED: PublishOutcome
PUBLISH_OUTCOME_REJECTED: PublishOutcome

class PullRequest(_message.Message):
    __slots__ = ("ref", "open", "draft", "head_sha", "base_ref", "base_sha", "url", "title")
    REF_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    DRAFT_FIELD_NUMBER: _ClassVar[int]
    HEAD_SHA_FIELD_NUMBER: _ClassVar[int]
    BASE_REF_FIELD_NUMBER: _ClassVar[int]
    BASE_SHA_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ref: _pull_request_pb2.PullRequestRef
    open: bool
    draft: bool
    head_sha: str
    base_ref: str
    base_sha: str
    url: str
    title: str
    def __init__(self, ref: _Optional[_Union[_pull_request_pb2.PullRequestRef, _Mapping]] = ..., open: _Optional[bool] = ..., draft: _Optional[bool] = ..., head_sha: _Optional[str] = ..., base_ref: _Optional[str] = ..., base_sha: _Optional[str] = ..., url: _Optional[str] = ..., title: _Optional[str] = ...) -> None: ...

class GetPullRequestRequest(_message.Message):
    __slots__ = ("organization_id", "ref")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    ref: _pull_request_pb2.PullRequestRef
    def __init__(self, organization_id: _Optional[str] = ..., ref: _Optional[_Union[_pull_request_pb2.PullRequestRef, _Mapping]] = ...) -> None: ...

class ReadSourceRequest(_message.Message):
    __slots__ = ("organization_id", "ref")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    ref: _pull_request_pb2.PullRequestRef
    def __init__(self, organization_id: _Optional[str] = ..., ref: _Optional[_Union[_pull_request_pb2.PullRequestRef, _Mapping]] = ...) -> None: ...

class ChangedFile(_message.Message):
    __slots__ = ("path", "status", "previous_path", "patch", "head", "base", "old_mode", "new_mode", "reason")
    PATH_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_PATH_FIELD_NUMBER: _ClassVar[int]
    PATCH_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    OLD_MODE_FIELD_NUMBER: _ClassVar[int]
    NEW_MODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    path: bytes
    status: str
    previous_path: bytes
    patch: bytes
    head: bytes
    base: bytes
    old_mode: str
    new_mode: str
    reason: str
    def __init__(self, path: _Optional[bytes] = ..., status: _Optional[str] = ..., previous_path: _Optional[bytes] = ..., patch: _Optional[bytes] = ..., head: _Optional[bytes] = ..., base: _Optional[bytes] = ..., old_mode: _Optional[str] = ..., new_mode: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ReadSourceResponse(_message.Message):
    __slots__ = ("pull_request", "file", "omission")
    PULL_REQUEST_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    OMISSION_FIELD_NUMBER: _ClassVar[int]
    pull_request: PullRequest
    file: ChangedFile
    omission: str
    def __init__(self, pull_request: _Optional[_Union[PullRequest, _Mapping]] = ..., file: _Optional[_Union[ChangedFile, _Mapping]] = ..., omission: _Optional[str] = ...) -> None: ...

class PublishFinding(_message.Message):
    __slots__ = ("fingerprint", "path", "left", "start_line", "end_line", "body")
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    START_LINE_FIELD_NUMBER: _ClassVar[int]
    END_LINE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    fingerprint: str
    path: str
    left: bool
    start_line: int
    end_line: int
    body: str
    def __init__(self, fingerprint: _Optional[str] = ..., path: _Optional[str] = ..., left: _Optional[bool] = ..., start_line: _Optional[int] = ..., end_line: _Optional[int] = ..., body: _Optional[str] = ...) -> None: ...

class PublishRequest(_message.Message):
    __slots__ = ("organization_id", "ref", "run_id", "epoch", "head_sha", "base_ref", "summary", "findings", "head_may_have_moved")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HEAD_SHA_FIELD_NUMBER: _ClassVar[int]
    BASE_REF_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    HEAD_MAY_HAVE_MOVED_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    ref: _pull_request_pb2.PullRequestRef
    run_id: str
    epoch: int
    head_sha: str
    base_ref: str
    summary: str
    findings: _containers.RepeatedCompositeFieldContainer[PublishFinding]
    head_may_have_moved: bool
    def __init__(self, organization_id: _Optional[str] = ..., ref: _Optional[_Union[_pull_request_pb2.PullRequestRef, _Mapping]] = ..., run_id: _Optional[str] = ..., epoch: _Optional[int] = ..., head_sha: _Optional[str] = ..., base_ref: _Optional[str] = ..., summary: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[PublishFinding, _Mapping]]] = ..., head_may_have_moved: _Optional[bool] = ...) -> None: ...

class PublishResponse(_message.Message):
    __slots__ = ("outcome", "reason", "retry_time", "url", "demoted")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_TIME_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    DEMOTED_FIELD_NUMBER: _ClassVar[int]
    outcome: PublishOutcome
    reason: str
    retry_time: _timestamp_pb2.Timestamp
    url: str
    demoted: int
    def __init__(self, outcome: _Optional[_Union[PublishOutcome, str]] = ..., reason: _Optional[str] = ..., retry_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., url: _Optional[str] = ..., demoted: _Optional[int] = ...) -> None: ...
