"""The OpenAPI 3.1 document, built once from the same rules that the routes are made from."""

from collections.abc import Iterable
from importlib import metadata
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from gateway.openapi.comments import comments
from gateway.openapi.errors import error_responses, problem_responses
from gateway.openapi.examples import EXAMPLES
from gateway.openapi.fixed import OPEN, fixed_paths, problem_schema
from gateway.openapi.schemas import Schema, Schemas
from gateway.transcode.request import STREAM_SECONDS, is_query_field
from gateway.transcode.rules import Rule
from services.kit.rpc.resources import id_path

_DESCRIPTION = (
    "Send `Authorization: Bearer` with an access token or an API key. Errors are `application/problem+json`; `reason` "
    "is stable, the texts are for people. The same operations are there over gRPC. "
    "`X-Request-Timeout` (seconds) shortens the time a call may take."
)
_HEADERS = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "A value of your own for this request. Sent again within 24 hours by the same caller, the "
        "request makes nothing twice and is answered with the same resource; with another body it is refused.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "RequestTimeout": {
        "name": "X-Request-Timeout",
        "in": "header",
        "required": False,
        "description": "Seconds after which the answer is of no use any more; it can only shorten the time.",
        "schema": {"type": "number", "minimum": 0.001, "maximum": STREAM_SECONDS},
    },
}


def build_document(rules: Iterable[Rule]) -> dict[str, Any]:
    """Answer the whole document. Raises ValueError where two operations share a path and verb."""
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = fixed_paths()
    tags: dict[str, str] = {}
    for rule in rules:
        operations = paths.setdefault(rule.path, {})
        if rule.verb.lower() in operations:
            raise ValueError(f"{rule.verb} {rule.path} is described twice")
        operations[rule.verb.lower()] = _operation(rule, schemas)
        service = rule.method.containing_service
        tags[service.name] = comments().get(service.full_name, "")
    tags |= {"Webhooks": "What code hosts call.", "Health": "Whether the system is well.", "Documentation": "This."}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lintel", "version": _version(), "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": text} for name, text in tags.items()],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {"Problem": problem_schema(), **dict(sorted(schemas.components.items()))},
            "parameters": _HEADERS,
            "responses": problem_responses(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(rule: Rule, schemas: Schemas) -> dict[str, Any]:
    text = comments().get(rule.method.full_name, "")
    operation: dict[str, Any] = {
        "operationId": rule.method.name[0].lower() + rule.method.name[1:],
        "tags": [rule.method.containing_service.name],
        "summary": text.split(". ")[0].rstrip("."),
        "description": text,
        "parameters": [_parameter(f, "path", schemas) for f in rule.variables],
        "responses": {str(rule.success_status): _success(rule, schemas), **error_responses(rule)},
    }
    if rule.is_open:
        operation["security"] = OPEN
    in_path = {f.name for f in rule.variables}
    if rule.body != "*":
        fields = [f for f in rule.request.fields if f.name not in in_path | {rule.body} and is_query_field(f)]
        operation["parameters"] += [_parameter(f, "query", schemas) for f in fields]
    if rule.body:
        target = rule.request if rule.body == "*" else rule.request.fields_by_name[rule.body].message_type
        skip = frozenset(in_path) if rule.body == "*" else frozenset[str]()
        assert target is not None  # checked when the rule was read
        schema = schemas.reference(target, is_request=True, skip=skip)
        needed = "required" in schemas.components.get(schema.get("$ref", "").rpartition("/")[2], {})
        content: dict[str, Any] = {"schema": schema}
        if (example := EXAMPLES.get(operation["operationId"])) is not None:
            content["example"] = example
        operation["requestBody"] = {"required": needed, "content": {"application/json": content}}
    operation["parameters"] += [{"$ref": f"#/components/parameters/{name}"} for name in _headers(rule)]
    return operation


def _headers(rule: Rule) -> list[str]:
    takes_key = rule.verb == "POST" and not rule.path.startswith("/auth/")
    return [*(["IdempotencyKey"] if takes_key else []), "RequestTimeout"]


def _parameter(field: FieldDescriptor, place: str, schemas: Schemas) -> dict[str, Any]:
    schema: Schema = schemas.field(field, is_request=True)
    description = schema.pop("description", "")
    return {"name": field.json_name, "in": place, "required": place == "path", "schema": schema} | (
        {"description": description} if description else {}
    )


def _success(rule: Rule, schemas: Schemas) -> dict[str, Any]:
    if rule.success_status == 204:
        return {"description": "Done; there is no body."}
    schema = schemas.reference(rule.method.output_type, is_request=False)
    if rule.is_stream:
        text = "Server-sent events with a number for `id`; then `event: end`, or `event: error` with a problem."
        return {"description": text, "content": {"text/event-stream": {"schema": _event(schema)}}}
    told = comments().get(rule.method.output_type.full_name) or "Done."
    answer: dict[str, Any] = {"description": told, "content": {"application/json": {"schema": schema}}}
    if rule.success_status == 201 and id_path(rule.method.output_type):
        answer["headers"] = {"Location": {"description": "Where it is now.", "schema": {"type": "string"}}}
    return answer


def _event(message: Schema) -> Schema:
    """Answer what each event is like, in the form that OpenAPI 3.2 settles for event streams."""
    told = [message, {"$ref": "#/components/schemas/Problem"}, {"type": "object", "maxProperties": 0}]
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^[0-9]+$"},
            "event": {"enum": ["message", "end", "error"], "description": "Left out where it is `message`."},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": told}},
        },
        "required": ["data"],
    }


def _version() -> str:
    try:
        return metadata.version("lintel")
    except metadata.PackageNotFoundError:  # run from a checkout
        return "0.1.0"
