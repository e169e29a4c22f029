"""Reads google.api.http from the public services and checks at start that every rule can be served."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.api import annotations_pb2, http_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from lintel.common.v1 import options_pb2

from gateway.public import PublicService

_VARIABLE = re.compile(r"^\{([a-z][a-z0-9_]*)\}$")
_LITERAL = re.compile(r"^[A-Za-z0-9._~-]+$")
UNARY_SECONDS = 10.0  # below the 15 s of the edge proxy, so that the layer that knows the reason reports it
MAX_SECONDS = 120  # of a slower one
VERBS = ("get", "put", "post", "delete", "patch")


class RuleError(Exception):
    """An annotation that cannot be served; the edge must not start."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a path between slashes: literal text, or a variable that fills a field."""

    text: str
    is_variable: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One REST route: verb and path, and the RPC it stands for. `body` is "", "*" or the name of a field."""

    verb: str
    segments: tuple[Segment, ...]
    body: str
    method: MethodDescriptor
    role: str
    success_status: int
    is_open: bool
    seconds: float = UNARY_SECONDS  # that the answer may take

    @property
    def path(self) -> str:
        """The path as people write it, variables in the names JSON uses."""
        return "/" + "/".join(f"{{{self.json_name(s)}}}" if s.is_variable else s.text for s in self.segments)

    @property
    def variables(self) -> tuple[FieldDescriptor, ...]:
        """The fields that the path fills, in order."""
        return tuple(self.request.fields_by_name[s.text] for s in self.segments if s.is_variable)

    @property
    def request(self) -> Descriptor:
        """The type of the request."""
        return self.method.input_type

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream, shown as server-sent events."""
        return bool(self.method.server_streaming)

    def json_name(self, segment: Segment) -> str:
        """Answer the JSON name of a variable's field."""
        return str(self.request.fields_by_name[segment.text].json_name)


def read_rules(services: Iterable[PublicService]) -> tuple[Rule, ...]:
    """Answer all REST routes of the services. Raises RuleError naming the first annotation that does not work."""
    rules: list[Rule] = []
    taken: dict[tuple[str, tuple[str, ...]], str] = {}
    for service in services:
        for method in service.descriptor.methods:
            for rule in _rules_of(method, service.role):
                shape = (rule.verb, tuple("{}" if s.is_variable else s.text for s in rule.segments))
                if other := taken.get(shape):
                    raise RuleError(f"{method.full_name}: {rule.verb} {rule.path} already belongs to {other}")
                taken[shape] = method.full_name
                rules.append(rule)
    return tuple(rules)


def _rules_of(method: MethodDescriptor, role: str) -> Iterator[Rule]:
    options = method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    if method.client_streaming:
        raise RuleError(f"{method.full_name}: a client stream cannot be a REST route")
    http = options.Extensions[annotations_pb2.http]
    rest = options.Extensions[options_pb2.rest]
    for binding in (http, *http.additional_bindings):
        yield _rule(method, role, binding, rest)


def _rule(method: MethodDescriptor, role: str, http: http_pb2.HttpRule, rest: options_pb2.RestOptions) -> Rule:
    verb = http.WhichOneof("pattern")
    if verb not in VERBS:
        raise RuleError(f"{method.full_name}: no verb, or one that is not served")
    if http.response_body:
        raise RuleError(f"{method.full_name}: response_body is not supported")
    segments = tuple(_segments(method, getattr(http, verb)))
    if http.body and verb in ("get", "delete"):
        raise RuleError(f"{method.full_name}: {verb} has no body")
    if http.body not in ("", "*"):
        field = method.input_type.fields_by_name.get(http.body)
        if field is None or field.message_type is None:
            raise RuleError(f"{method.full_name}: the body field {http.body} is not a message of the request")
    if method.server_streaming and verb != "get":
        raise RuleError(f"{method.full_name}: a server stream must be a GET")
    if not 0 <= rest.seconds <= MAX_SECONDS:
        raise RuleError(f"{method.full_name}: an answer takes at most {MAX_SECONDS} seconds")
    seconds = float(rest.seconds) or UNARY_SECONDS
    return Rule(verb.upper(), segments, http.body, method, role, rest.success_status or 200, rest.open, seconds)


def _segments(method: MethodDescriptor, template: str) -> Iterator[Segment]:
    if not template.startswith("/"):
        raise RuleError(f"{method.full_name}: the path {template} does not begin with /")
    seen = set[str]()
    for text in template[1:].split("/"):
        if found := _VARIABLE.match(text):
            name = found[1]
            field = method.input_type.fields_by_name.get(name)
            if field is None or field.message_type is not None or field.is_repeated:
                raise RuleError(f"{method.full_name}: {{{name}}} is not a scalar field of the request")
            if name in seen:
                raise RuleError(f"{method.full_name}: {{{name}}} stands twice in the path")
            seen.add(name)
            yield Segment(name, is_variable=True)
        elif _LITERAL.match(text):
            yield Segment(text, is_variable=False)
        else:
            raise RuleError(f"{method.full_name}: {text!r} in {template} is not supported")
