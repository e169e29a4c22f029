import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from lintel.common.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReviewState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVIEW_STATE_UNSPECIFIED: _ClassVar[ReviewState]
    REVIEW_STATE_QUEUED: _ClassVar[ReviewState]
    REVIEW_STATE_RUNNING: _ClassVar[ReviewState]
    REVIEW_STATE_PUBLISHED: _ClassVar[ReviewState]
    REVIEW_STATE_COMPLETED: _ClassVar[ReviewState]
    REVIEW_STATE_SUPERSEDED: _ClassVar[ReviewState]
    REVIEW_STATE_CANCELLED: _ClassVar[ReviewState]
    REVIEW_STATE_FAILED: _ClassVar[ReviewState]

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNSPECIFIED: _ClassVar[Side]
    SIDE_LEFT: _ClassVar[Side]
    SIDE_RIGHT: _ClassVar[Side]

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_LOW: _ClassVar[Severity]
    SEVERITY_MEDIUM: _ClassVar[Severity]
    SEVERITY_HIGH: _ClassVar[Severity]
    SEVERITY_CRITICAL: _ClassVar[Severity]

class FindingState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINDING_STATE_UNSPECIFIED: _ClassVar[FindingState]
    FINDING_STATE_OPEN: _ClassVar[FindingState]
    FINDING_STATE_FIXED: _ClassVar[FindingState]
    FINDING_STATE_DISMISSED: _ClassVar[FindingState]
    FINDING_STATE_REGRESSED: _ClassVar[FindingState]

class SourceKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_KIND_UNSPECIFIED: _ClassVar[SourceKind]
    SOURCE_KIND_MODEL: _ClassVar[SourceKind]
    SOURCE_KIND_ANALYZER: _ClassVar[SourceKind]
    SOURCE_KIND_RULE: _ClassVar[SourceKind]
    SOURCE_KIND_IMPORT: _ClassVar[SourceKind]

class FileFate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FILE_FATE_UNSPECIFIED: _ClassVar[FileFate]
    FILE_FATE_REVIEWED: _ClassVar[FileFate]
    FILE_FATE_PARTIAL: _ClassVar[FileFate]
    FILE_FATE_SKIPPED: _ClassVar[FileFate]

class AnalyzerFate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ANALYZER_FATE_UNSPECIFIED: _ClassVar[AnalyzerFate]
    ANALYZER_FATE_RAN: _ClassVar[AnalyzerFate]
    ANALYZER_FATE_SKIPPED: _ClassVar[AnalyzerFate]
    ANALYZER_FATE_FAILED: _ClassVar[AnalyzerFate]
REVIEW_STATE_UNSPECIFIED: ReviewState
REVIEW_STATE_QUEUED: ReviewState
REVIEW_STATE_RUNNING: ReviewState
REVIEW_STATE_PUBLISHED: ReviewState
REVIEW_STATE_COMPLETED: ReviewState
REVIEW_STATE_SUPERSEDED: ReviewState
REVIEW_STATE_CANCELLED: ReviewState
REVIEW_STATE_FAILED: ReviewState
SIDE_UNSPECIFIED: Side
SIDE_LEFT: Side
SIDE_RIGHT: Side
SEVERITY_UNSPECIFIED: Severity
SEVERITY_LOW: Severity
SEVERITY_MEDIUM: Severity
SEVERITY_HIGH: Severity
SEVERITY_CRITICAL: Severity
FINDING_STATE_UNSPECIFIED: FindingState
FINDING_STATE_OPEN: FindingState
FINDING_STATE_FIXED: FindingState
FINDING_STATE_DISMISSED: FindingState
FINDING_STATE_REGRESSED: FindingState
SOURCE_KIND_UNSPECIFIED: SourceKind
SOURCE_KIND_MODEL: SourceKind
SOURCE_KIND_ANALYZER: SourceKind
SOURCE_KIND_RULE: SourceKind
SOURCE_KIND_IMPORT: SourceKind
FILE_FATE_UNSPECIFIED: FileFate
FILE_FATE_REVIEWED: FileFate
FILE_FATE_PARTIAL: FileFate
FILE_FATE_SKIPPED: FileFate
ANALYZER_FATE_UNSPECIFIED: AnalyzerFate
ANALYZER_FATE_RAN: AnalyzerFate
ANALYZER_FATE_SKIPPED: AnalyzerFate
ANALYZER_FATE_FAILED: AnalyzerFate

class Review(_message.Message):
    __slots__ = ("id", "state", "state_reason", "repository", "base_sha", "head_sha", "create_time", "finish_time", "summary", "host", "pull_request_number", "url")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    BASE_SHA_FIELD_NUMBER: _ClassVar[int]
    HEAD_SHA_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PULL_REQUEST_NUMBER_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: ReviewState
    state_reason: str
    repository: str
    base_sha: str
    head_sha: str
    create_time: _timestamp_pb2.Timestamp
    finish_time: _timestamp_pb2.Timestamp
    summary: str
    host: str
    pull_request_number: int
    url: str
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[ReviewState, str]] = ..., state_reason: _Optional[str] = ..., repository: _Optional[str] = ..., base_sha: _Optional[str] = ..., head_sha: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finish_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., summary: _Optional[str] = ..., host: _Optional[str] = ..., pull_request_number: _Optional[int] = ..., url: _Optional[str] = ...) -> None: ...

class Suggestion(_message.Message):
    __slots__ = ("replacement", "level")
    REPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    replacement: str
    level: str
    def __init__(self, replacement: _Optional[str] = ..., level: _Optional[str] = ...) -> None: ...

class FindingSource(_message.Message):
    __slots__ = ("kind", "name", "rule_id", "model")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    kind: SourceKind
    name: str
    rule_id: str
    model: str
    def __init__(self, kind: _Optional[_Union[SourceKind, str]] = ..., name: _Optional[str] = ..., rule_id: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("id", "fingerprint", "path", "side", "start_line", "end_line", "quote", "severity", "category", "confidence", "title", "body", "suggestion", "source", "state")
    ID_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    START_LINE_FIELD_NUMBER: _ClassVar[int]
    END_LINE_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    SUGGESTION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    id: str
    fingerprint: str
    path: str
    side: Side
    start_line: int
    end_line: int
    quote: str
    severity: Severity
    category: str
    confidence: float
    title: str
    body: str
    suggestion: Suggestion
    source: FindingSource
    state: FindingState
    def __init__(self, id: _Optional[str] = ..., fingerprint: _Optional[str] = ..., path: _Optional[str] = ..., side: _Optional[_Union[Side, str]] = ..., start_line: _Optional[int] = ..., end_line: _Optional[int] = ..., quote: _Optional[str] = ..., severity: _Optional[_Union[Severity, str]] = ..., category: _Optional[str] = ..., confidence: _Optional[float] = ..., title: _Optional[str] = ..., body: _Optional[str] = ..., suggestion: _Optional[_Union[Suggestion, _Mapping]] = ..., source: _Optional[_Union[FindingSource, _Mapping]] = ..., state: _Optional[_Union[FindingState, str]] = ...) -> None: ...

class FileReceipt(_message.Message):
    __slots__ = ("path", "status", "fate", "reason", "hunks", "hunks_read", "notes")
    PATH_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HUNKS_FIELD_NUMBER: _ClassVar[int]
    HUNKS_READ_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    path: str
    status: str
    fate: FileFate
    reason: str
    hunks: int
    hunks_read: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, path: _Optional[str] = ..., status: _Optional[str] = ..., fate: _Optional[_Union[FileFate, str]] = ..., reason: _Optional[str] = ..., hunks: _Optional[int] = ..., hunks_read: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class AnalyzerReceipt(_message.Message):
    __slots__ = ("name", "version", "fate", "reason", "duration_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    fate: AnalyzerFate
    reason: str
    duration_ms: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., fate: _Optional[_Union[AnalyzerFate, str]] = ..., reason: _Optional[str] = ..., duration_ms: _Optional[int] = ...) -> None: ...

class ModelReceipt(_message.Message):
    __slots__ = ("provider", "model", "calls", "input_tokens", "cached_tokens", "output_tokens", "cost_usd", "prompt_hash")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    PROMPT_HASH_FIELD_NUMBER: _ClassVar[int]
    provider: str
    model: str
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float
    prompt_hash: str
    def __init__(self, provider: _Optional[str] = ..., model: _Optional[str] = ..., calls: _Optional[int] = ..., input_tokens: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., cost_usd: _Optional[float] = ..., prompt_hash: _Optional[str] = ...) -> None: ...

class DroppedFindings(_message.Message):
    __slots__ = ("reason", "count")
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    count: int
    def __init__(self, reason: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("files", "analyzers", "models", "dropped_findings", "notes")
    FILES_FIELD_NUMBER: _ClassVar[int]
    ANALYZERS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FINDINGS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[FileReceipt]
    analyzers: _containers.RepeatedCompositeFieldContainer[AnalyzerReceipt]
    models: _containers.RepeatedCompositeFieldContainer[ModelReceipt]
    dropped_findings: _containers.RepeatedCompositeFieldContainer[DroppedFindings]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, files: _Optional[_Iterable[_Union[FileReceipt, _Mapping]]] = ..., analyzers: _Optional[_Iterable[_Union[AnalyzerReceipt, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[ModelReceipt, _Mapping]]] = ..., dropped_findings: _Optional[_Iterable[_Union[DroppedFindings, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...
