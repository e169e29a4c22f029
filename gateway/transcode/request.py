"""One HTTP request to the message of an RPC, its metadata and its time."""

import re

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.requests import Request

from gateway.bodies import check_encoding, is_json, read_body
from gateway.config import MAX_REST_BODY
from gateway.transcode.decode import Decoder
from gateway.transcode.parse import parse_json
from gateway.transcode.rules import Rule
from services.kit.errors import AppError, Reason, Violation
from services.kit.rpc.context import request_id
from services.kit.rpc.middlewares import CLIENT_ADDRESS, REQUEST_ID

STREAM_SECONDS = 1800.0
BODY_SECONDS = 10.0
_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")
_CREDENTIAL = re.compile(r"^[\x20-\x7e]{1,8192}$")
_ADDRESS = re.compile(r"^[0-9a-fA-F.:]{2,45}$")
_SECONDS = re.compile(r"^[0-9]{1,5}(\.[0-9]{1,20})?$")

Metadata = tuple[tuple[str, str], ...]


async def read_request(rule: Rule, request: Request) -> Message:
    """Answer the message that the path, the query and the body make. Raises AppError naming each field at fault."""
    message: Message = GetMessageClass(rule.request)()
    decoder = Decoder()
    body = await read_body(request, MAX_REST_BODY, BODY_SECONDS)
    if body and not rule.body:
        raise AppError(Reason.INVALID_REQUEST, "This route takes no body.")
    if body:
        check_encoding(request)
        if not is_json(request.headers.get("content-type", "")):
            raise AppError(Reason.UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json in UTF-8.")
    in_path = frozenset(field.json_name for field in rule.variables)
    if rule.body:
        target = message if rule.body == "*" else getattr(message, rule.body)
        target.SetInParent()
        decoder.object_into(target, parse_json(body) if body else {}, skip=in_path if rule.body == "*" else frozenset())
    query: bytes = request.scope["query_string"]
    decoder.query_into(message, query, _query_fields(rule) - in_path)
    for field in rule.variables:
        decoder.text_into(message, field, request.path_params[field.json_name])
    if decoder.violations:
        raise AppError(Reason.INVALID_REQUEST, violations=decoder.violations)
    return message


def metadata_of(request: Request) -> Metadata:
    """Answer the headers that travel on: an allow-list, each of them once. The trace is added by the channel."""
    found = [(REQUEST_ID, request_id.get()), (CLIENT_ADDRESS, _client_address(request))]
    credentials = request.headers.getlist("authorization")
    # Two credentials, or one that is no printable ASCII, are none: the service answers 401.
    if len(credentials) == 1 and _CREDENTIAL.match(credentials[0]):
        found.append(("authorization", credentials[0]))
    keys = request.headers.getlist("idempotency-key")
    if keys:
        if len(keys) > 1 or not _KEY.match(keys[0]):
            raise _header_fault("Idempotency-Key", "must be one value of 1 to 255 printable ASCII characters")
        found.append(("idempotency-key", keys[0]))
    return tuple(found)


def _client_address(request: Request) -> str:
    """Answer where the caller is: the peer of a TCP connection; on the socket only Envoy opens, what it says."""
    if request.client is not None:
        return request.client.host
    told = request.headers.getlist(CLIENT_ADDRESS)
    return told[0] if len(told) == 1 and _ADDRESS.match(told[0]) else ""


def seconds_for(rule: Rule, request: Request) -> float:
    """Answer how long the RPC may take: what X-Request-Timeout says in seconds, never more than our own bound."""
    bound = STREAM_SECONDS if rule.is_stream else rule.seconds
    given = request.headers.get("x-request-timeout")
    if given is None:
        return bound
    if not _SECONDS.match(given) or float(given) <= 0:
        raise _header_fault("X-Request-Timeout", "must be a number of seconds above 0")
    return min(float(given), bound)


def _query_fields(rule: Rule) -> frozenset[str]:
    if rule.body == "*":
        return frozenset()
    return frozenset(
        field.json_name for field in rule.request.fields if field.name != rule.body and is_query_field(field)
    )


def is_query_field(field: object) -> bool:
    """Tell whether a field can be given as text: scalars, times and durations."""
    message = getattr(field, "message_type", None)
    return message is None or message.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration")


def _header_fault(name: str, text: str) -> AppError:
    return AppError(Reason.INVALID_REQUEST, violations=[Violation(name, text)])
