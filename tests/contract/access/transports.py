"""A request of the table, sent through gRPC and through REST; either way it ends with OK or with a reason."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import grpc
import httpx2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.public import PUBLIC_SERVICES, method_path
from gateway.transcode.decode import Decoder
from gateway.transcode.rules import Rule, read_rules
from services.kit.rpc.status import from_rpc_error

OK = "OK"
METHODS: Mapping[str, MethodDescriptor] = {
    f"{service.name.removeprefix('lintel.')}/{method.name}": method
    for service in PUBLIC_SERVICES
    for method in service.descriptor.methods
}
RULES: Mapping[str, Rule] = {
    f"{rule.method.containing_service.full_name.removeprefix('lintel.')}/{rule.method.name}": rule
    for rule in read_rules(PUBLIC_SERVICES)
}
# What REST answers with which status (RFC 9110); the others follow from their reasons and are tested elsewhere.
STATUS = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404}


async def by_grpc(channel: grpc.aio.Channel, name: str, request: Any, credential: str | None) -> tuple[str, str]:
    """Answer how an RPC ends, and the answer as text."""
    method = METHODS[name]
    reply = GetMessageClass(method.output_type)
    metadata = (("authorization", f"Bearer {credential}"),) if credential else ()
    options: Any = {"request_serializer": lambda m: m.SerializeToString(), "response_deserializer": reply.FromString}
    path = method_path(method)
    try:
        if method.client_streaming:
            messages = iter([_message(method, each) for each in request])
            call: Any = channel.stream_unary(path, **options)(messages, metadata=metadata, timeout=30)
            return OK, str(await call)
        call = (channel.unary_stream if method.server_streaming else channel.unary_unary)(path, **options)
        made = call(_message(method, request), metadata=metadata, timeout=30)
        if not method.server_streaming:
            return OK, str(await made)
        return OK, "".join([str(message) async for message in made])
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error).reason.value, ""


async def by_rest(client: httpx2.AsyncClient, name: str, request: Any, credential: str | None) -> tuple[str, str]:
    """Answer how a route ends, and the answer as text; a status that does not fit is named beside the reason."""
    rule, rest = RULES[name], dict(request)
    path = "/" + "/".join(
        quote(str(rest.pop(rule.json_name(s))), safe="") if s.is_variable else s.text for s in rule.segments
    )
    query = "" if rule.body == "*" or not rest else "?" + urlencode(rest, doseq=True)
    answer = await client.request(
        rule.verb,
        path + query,
        headers={"Authorization": f"Bearer {credential}"} if credential else {},
        json=rest if rule.body == "*" else None,
    )
    if answer.is_success:
        return (OK if answer.status_code == rule.success_status else f"{OK} {answer.status_code}"), answer.text
    reason = answer.json()["reason"]
    fits = answer.status_code == STATUS.get(reason, answer.status_code)
    return reason if fits else f"{reason} {answer.status_code}", answer.text


def _message(method: MethodDescriptor, request: Any) -> Message:
    made, decoder = GetMessageClass(method.input_type)(), Decoder()
    decoder.object_into(made, request)
    assert not decoder.violations, (method.full_name, decoder.violations)
    return made
