"""The endpoints of the derived routes: call the RPC, answer its message or its stream."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from gateway import problems
from gateway.mesh import Mesh
from gateway.public import method_path
from gateway.routing import Endpoint, Route
from gateway.transcode.encode import to_json
from gateway.transcode.request import metadata_of, read_request, seconds_for
from gateway.transcode.rules import Rule
from gateway.transcode.sse import EventStream
from services.kit.rpc.resources import id_of
from services.kit.rpc.status import from_rpc_error


def derived_routes(rules: Iterable[Rule], mesh: Mesh) -> list[Route]:
    """Answer one route for each rule."""
    return [
        Route(rule.verb, rule.path, _stream(rule, mesh) if rule.is_stream else _unary(rule, mesh), not rule.is_stream)
        for rule in rules
    ]


def _unary(rule: Rule, mesh: Mesh) -> Endpoint:
    path, answer_class = method_path(rule.method), GetMessageClass(rule.method.output_type)

    async def endpoint(request: Request) -> ASGIApp:
        message = await read_request(rule, request)
        call: Any = mesh.public(rule.role).unary_unary(
            path, request_serializer=_serialize, response_deserializer=answer_class.FromString
        )
        try:
            answer: Message = await call(message, timeout=seconds_for(rule, request), metadata=metadata_of(request))
        except grpc.aio.AioRpcError as error:
            raise problems.in_json_names(from_rpc_error(error), rule.request) from None
        if rule.success_status == 204:
            return Response(status_code=204)
        headers = {}
        if rule.success_status == 201 and (identifier := id_of(answer)):
            headers["Location"] = f"{request.scope['path'].rstrip('/')}/{quote(identifier, safe='')}"
        return Response(problems.to_bytes(to_json(answer)), rule.success_status, headers, media_type="application/json")

    return endpoint


def _stream(rule: Rule, mesh: Mesh) -> Endpoint:
    path, answer_class = method_path(rule.method), GetMessageClass(rule.method.output_type)

    async def endpoint(request: Request) -> ASGIApp:
        message = await read_request(rule, request)
        call: Any = mesh.public(rule.role).unary_stream(
            path, request_serializer=_serialize, response_deserializer=answer_class.FromString
        )
        started = call(message, timeout=seconds_for(rule, request), metadata=metadata_of(request))
        return await EventStream.open(started, rule.request)

    return endpoint


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
