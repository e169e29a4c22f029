"""GitHub's published description as code: which operation a request is, and whether request and answer fit it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

HERE = Path(__file__).parent
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_FORMATS.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"[a-z][a-z0-9+.-]*:[^\s<>\"{}|\\^`]+", value) is not None


@dataclass(frozen=True)
class Operation:
    """One operation of the description; `query` maps names to schemas, `body` is None where none may be sent."""

    id: str
    method: str
    template: str
    pattern: re.Pattern[str]
    path_schemas: Mapping[str, dict[str, Any]]
    query: Mapping[str, dict[str, Any]]
    body: dict[str, Any] | None
    body_required: bool
    responses: Mapping[int, Mapping[str, dict[str, Any] | None]] = field(repr=False)

    @property
    def reads(self) -> bool:
        """Whether the operation changes nothing."""
        return self.method == "GET"


class Description:
    """The vendored OpenAPI document, indexed; `check_*` return what is wrong in words, empty when nothing is."""

    def __init__(self, document: dict[str, Any], urn: str) -> None:
        self._urn = urn
        self._document = _to_json_schema(document, urn)
        resource = DRAFT202012.create_resource(self._document)
        self._registry: Registry[Any] = Registry().with_resource(urn, resource)
        self.operations = tuple(self._operations())
        self._validators: dict[str, Draft202012Validator] = {}

    def match(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """Returns the operation and its path parameters (still percent-decoded text), or None."""
        for operation in self.operations:
            found = operation.pattern.fullmatch(path) if operation.method == method else None
            if found is not None:
                return operation, found.groupdict()
        return None

    def schema_errors(self, schema: dict[str, Any], value: Any) -> list[str]:
        """Validates one value and names the deepest mismatch with its place."""
        key = json.dumps(schema, sort_keys=True)
        validator = self._validators.get(key)
        if validator is None:
            validator = Draft202012Validator(schema, registry=self._registry, format_checker=_FORMATS)
            self._validators[key] = validator
        error = best_match(validator.iter_errors(value))
        if error is None:
            return []
        where = "/".join(str(part) for part in error.absolute_path)
        return [f"For '{where or 'body'}', {error.message[:300]}."]

    def check_query(self, operation: Operation, pairs: list[tuple[str, str]]) -> tuple[dict[str, Any], list[str]]:
        """Returns the typed query parameters with defaults, and what is wrong with them."""
        wrong: list[str] = []
        values: dict[str, Any] = {n: s["default"] for n, s in operation.query.items() if "default" in s}
        seen: set[str] = set()
        for name, text in pairs:
            schema = operation.query.get(name)
            if schema is None:
                wrong.append(f'"{name}" is not a permitted query parameter.')
                continue
            if name in seen:
                wrong.append(f'"{name}" is given twice.')
            seen.add(name)
            values[name] = _typed(schema, text)
            wrong += self.schema_errors(schema, values[name])
        return values, wrong

    def check_body(self, operation: Operation, body: Any) -> list[str]:
        """Says what is wrong with a request body, including keys that the description doesn't know."""
        if operation.body is None:
            return [] if body is None else ["This operation takes no body."]
        if body is None:
            return ["A body is required."] if operation.body_required else []
        return self.schema_errors(operation.body, body) + _unknown_keys(operation.body, body)

    def check_response(self, operation: Operation | None, status: int, media: str, body: bytes) -> list[str]:
        """Says what is wrong with an answer of the emulator itself."""
        described = operation.responses.get(status) if operation is not None else None
        if described is None:
            if status < 400:
                return [f"status {status} is not described"]
            described = {"application/json": {"$ref": f"{self._urn}#/components/schemas/basic-error"}}
        if not described:
            return ["this answer has no body in the description"] if body else []
        if media not in described:
            return [f"media type {media} is not described"] if media == "application/json" else []
        schema = described[media]
        if schema is None or media != "application/json":
            return []
        return self.schema_errors(schema, json.loads(body))

    def _operations(self) -> list[Operation]:
        found = []
        for template, methods in self._document.get("paths", {}).items():
            for method, raw in methods.items():
                found.append(self._operation(template, method.upper(), raw))
        # More literal segments first, so that /pulls/comments/{id} is never read as /pulls/{number}/….
        return sorted(found, key=lambda operation: operation.template.count("{"))

    def _operation(self, template: str, method: str, raw: dict[str, Any]) -> Operation:
        parameters = [self._resolve(parameter) for parameter in raw.get("parameters", [])]
        body = self._resolve(raw.get("requestBody", {}))
        path_schemas = {p["name"]: p["schema"] for p in parameters if p["in"] == "path"}
        return Operation(
            id=raw["operationId"],
            method=method,
            template=template,
            pattern=_pattern(template, path_schemas),
            path_schemas=path_schemas,
            query={p["name"]: p["schema"] for p in parameters if p["in"] == "query"},
            body=body.get("content", {}).get("application/json", {}).get("schema"),
            body_required=body.get("required", False),
            responses={int(status): self._contents(response) for status, response in raw["responses"].items()},
        )

    def _contents(self, response: dict[str, Any]) -> dict[str, dict[str, Any] | None]:
        content = self._resolve(response).get("content", {})
        return {media: described.get("schema") for media, described in content.items()}

    def _resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            target: Any = self._document
            for part in node["$ref"].partition("#/")[2].split("/"):
                target = target[part]
            node = target
        return node


@cache
def load_openapi() -> Description:
    """Returns the vendored REST description, read once."""
    return Description(json.loads((HERE / "openapi.json").read_bytes()), "urn:github:rest")


@cache
def load_webhooks() -> Description:
    """Returns the vendored description of webhooks, read once."""
    return Description(json.loads((HERE / "webhooks.json").read_bytes()), "urn:github:webhooks")


def webhook_errors(event: str, payload: Any) -> list[str]:
    """Says what is wrong with a webhook payload; `event` is as in the description, such as `pull-request-opened`."""
    return load_webhooks().schema_errors({"$ref": f"urn:github:webhooks#/components/schemas/webhook-{event}"}, payload)


def _pattern(template: str, schemas: Mapping[str, dict[str, Any]]) -> re.Pattern[str]:
    spans_slashes = {"path", "basehead", "tree_sha"}
    out = []
    for part in re.split(r"(\{\w+\})", template):
        if not part.startswith("{"):
            out.append(re.escape(part))
            continue
        name = part[1:-1]
        if schemas[name].get("type") == "integer":
            out.append(f"(?P<{name}>[0-9]{{1,18}})")
        else:
            out.append(f"(?P<{name}>{'.*' if name in spans_slashes else '[^/]+'})")
    return re.compile("".join(out), re.DOTALL)


def _typed(schema: Mapping[str, Any], text: str) -> Any:
    if schema.get("type") == "integer" and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    return text


def _unknown_keys(schema: Mapping[str, Any], value: Any, where: str = "") -> list[str]:
    """Names the keys that plain request schemas (no references, no combinators) don't know."""
    found: list[str] = []
    if isinstance(value, dict):
        known = schema.get("properties", {})
        found += [f'"{where}{key}" is not a permitted key.' for key in value if key not in known]
        for key, item in value.items():
            found += _unknown_keys(known.get(key, {}), item, f"{where}{key}/") if key in known else []
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _unknown_keys(schema.get("items", {}), item, f"{where}{index}/")
    return found


def _to_json_schema(node: Any, urn: str) -> Any:
    """Returns OpenAPI 3.0 as JSON Schema: `nullable` becomes a type or an alternative, references become absolute."""
    if isinstance(node, list):
        return [_to_json_schema(item, urn) for item in node]
    if not isinstance(node, dict):
        return node
    # A property that is itself called `nullable` has a schema as value, not a boolean.
    out = {key: _to_json_schema(value, urn) for key, value in node.items() if not _is_openapi_only(key, value)}
    ref = out.get("$ref")
    if isinstance(ref, str) and ref.startswith("#/"):
        out["$ref"] = urn + ref
    if node.get("nullable") is not True:
        return out
    return {"anyOf": [{"type": "null"}, out]}


def _is_openapi_only(key: str, value: Any) -> bool:
    if key == "nullable":
        return isinstance(value, bool)
    return key == "discriminator" and isinstance(value, dict) and "propertyName" in value
