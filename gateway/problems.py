"""Errors as RFC 9457 problem documents; the HTTP status comes from the catalogue and nowhere else."""

import json
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf.descriptor import Descriptor
from starlette.responses import Response

from services.kit.errors import AppError, Reason, Violation
from services.kit.rpc.context import request_id
from services.kit.rpc.status import code, spec

MEDIA_TYPE = "application/problem+json"
_PATH = "/-._~!$&'()*+,;=:@"  # what a path may hold as it is: RFC 3986, section 3.3
# The table of grpc-gateway. An error that the catalogue gives a status of its own does not use it.
_HTTP_STATUS = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}


def http_status(reason: Reason) -> int:
    """Answer the HTTP status of a reason."""
    return spec(reason).http_status or _HTTP_STATUS[code(reason)]


def type_of(reason: Reason) -> str:
    """Answer the URI reference that identifies a reason: its place in our documentation."""
    return f"/docs#{reason.value.lower().replace('_', '-')}"


def document(error: AppError, instance: str) -> dict[str, Any]:
    """Answer the members of the problem; an internal error never carries text of its own."""
    title = spec(error.reason).title
    return {
        "type": type_of(error.reason),
        "title": title,
        "status": http_status(error.reason),
        "detail": title if error.reason is Reason.INTERNAL else error.message or title,
        "instance": quote(instance, safe=_PATH),
        "reason": error.reason.value,
        "violations": [{"field": v.field, "description": v.description, "rule": v.rule} for v in error.violations],
        "requestId": request_id.get(),
    }


def response(error: AppError, instance: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer an error as an HTTP response with the headers that belong to it."""
    members = document(error, instance)
    answer = Response(to_bytes(members), members["status"], dict(headers or {}), MEDIA_TYPE)
    if error.reason is Reason.UNAUTHENTICATED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after.total_seconds())))
    return answer


def to_bytes(value: Any) -> bytes:
    """Answer compact UTF-8 JSON; text that is not Unicode is escaped, so that an answer can always be written."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def in_json_names(error: AppError, request: Descriptor) -> AppError:
    """Answer the error with its fields named as JSON names them; services name them as the proto does."""
    if not error.violations:
        return error
    renamed = [Violation(_json_path(v.field, request), v.description, v.rule) for v in error.violations]
    return AppError(error.reason, error.message, violations=renamed, retry_after=error.retry_after, **error.metadata)


def _json_path(path: str, request: Descriptor) -> str:
    parts: list[str] = []
    message: Descriptor | None = request
    for part in path.split("."):
        name, bracket, rest = part.partition("[")
        field = message.fields_by_name.get(name) if message is not None else None
        parts.append((field.json_name if field is not None else name) + bracket + rest)
        message = field.message_type if field is not None else None
    return ".".join(parts)
