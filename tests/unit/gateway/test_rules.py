"""Annotations that cannot be served stop the start."""

from typing import Any

import pytest
from google.api import annotations_pb2  # type: ignore[import-untyped]
from google.protobuf import descriptor_pb2, descriptor_pool

from gateway.public import PUBLIC_SERVICES, PublicService
from gateway.routing import Route, RouteTable
from gateway.transcode.rules import RuleError, read_rules

_FIELD = descriptor_pb2.FieldDescriptorProto


def service(*methods: dict[str, Any], streams: bool = False) -> PublicService:
    """A service made for the test: one RPC for each HTTP rule, with a request of `id`, `inner` and `list`."""
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    file.dependency.append("google/api/annotations.proto")
    request = file.message_type.add(name="Request")
    request.field.add(name="id", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    request.field.add(
        name="inner", number=2, type=_FIELD.TYPE_MESSAGE, type_name=".t.Request", label=_FIELD.LABEL_OPTIONAL
    )
    request.field.add(name="list", number=3, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_REPEATED)
    made = file.service.add(name="S")
    for index, http in enumerate(methods):
        method = made.method.add(name=f"M{index}", input_type=".t.Request", output_type=".t.Request")
        method.client_streaming = streams
        rule = annotations_pb2.http
        method.options.Extensions[rule].CopyFrom(annotations_pb2.http.message_type._concrete_class(**http))
    pool = descriptor_pool.DescriptorPool()
    for dependency in (
        descriptor_pb2.DESCRIPTOR,
        *annotations_pb2.DESCRIPTOR.dependencies,
        annotations_pb2.DESCRIPTOR,
    ):
        pool.AddSerializedFile(dependency.serialized_pb)
    pool.Add(file)
    return PublicService(pool.FindServiceByName("t.S"), "review")


@pytest.mark.parametrize(
    ("http", "why"),
    [
        ({"get": "/a/{nope}"}, "not a scalar field"),
        ({"get": "/a/{inner}"}, "not a scalar field"),
        ({"get": "/a/{list}"}, "not a scalar field"),
        ({"get": "/a/{id}/{id}"}, "twice"),
        ({"get": "/a/{id=x/*}"}, "not supported"),
        ({"get": "/a/**"}, "not supported"),
        ({"get": "/a:act"}, "not supported"),
        ({"get": "a"}, "does not begin"),
        ({"post": "/a", "body": "nope"}, "body field nope"),
        ({"post": "/a", "body": "id"}, "body field id"),
        ({"get": "/a", "body": "*"}, "has no body"),
        ({"get": "/a", "response_body": "id"}, "response_body"),
        ({}, "no verb"),
    ],
)
def test_a_rule_that_cannot_be_served(http: dict[str, str], why: str) -> None:
    with pytest.raises(RuleError, match=why):
        read_rules([service(http)])


def test_a_client_stream_has_no_route() -> None:
    with pytest.raises(RuleError, match="client stream"):
        read_rules([service({"post": "/a", "body": "*"}, streams=True)])


def test_two_rules_for_one_route() -> None:
    with pytest.raises(RuleError, match=r"already belongs to t\.S\.M0"):
        read_rules([service({"get": "/a/{id}"}, {"get": "/a/{id}"})])


def test_every_binding_counts() -> None:
    rules = read_rules([service({"get": "/a", "additional_bindings": [{"put": "/b/{id}", "body": "inner"}]})])
    assert [(r.verb, r.path, r.body) for r in rules] == [("GET", "/a", ""), ("PUT", "/b/{id}", "inner")]


def test_our_own_rules_hold() -> None:
    rules = read_rules(PUBLIC_SERVICES)
    assert {r.role for r in rules} == {s.role for s in PUBLIC_SERVICES}


def test_a_route_stands_once_in_the_table() -> None:
    async def endpoint(_: Any) -> Any: ...

    with pytest.raises(ValueError, match="twice"):
        RouteTable([Route("GET", "/a/{x}", endpoint), Route("GET", "/a/{y}", endpoint)])
