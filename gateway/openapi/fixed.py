"""What the document says of the routes written by hand, and of problems."""

from typing import Any

from gateway.openapi.errors import meaning
from gateway.problems import http_status
from gateway.webhooks import HEADERS
from services.kit.errors import Reason

OPEN: list[dict[str, list[str]]] = [{}]
PROBLEM_REFERENCE = {"$ref": "#/components/responses/Problem"}
_STATE = {"type": "object", "properties": {"status": {"enum": ["up", "down", "disabled"]}}, "required": ["status"]}


def problem_schema() -> dict[str, Any]:
    """Answer the schema of RFC 9457 problems as we send them, with every reason and what it means."""
    told = [f"`{r.value}` ({http_status(r)}): {meaning(r)}" for r in Reason]
    violation = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("field", "description", "rule")},
        "required": ["field", "description", "rule"],
    }
    return {
        "type": "object",
        "description": "Why a request failed (RFC 9457).",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string", "format": "uri-reference"},
            "reason": {"type": "string", "enum": [r.value for r in Reason], "description": " ".join(told)},
            "violations": {"type": "array", "items": violation},
            "requestId": {"type": "string"},
        },
        "required": ["type", "title", "status", "detail", "instance", "reason", "violations", "requestId"],
    }


def fixed_paths() -> dict[str, dict[str, Any]]:
    """Answer the paths of webhooks, health and documentation."""
    paths: dict[str, dict[str, Any]] = {}
    for host in HEADERS:
        paths[f"/{host}/webhook"] = {"post": _webhook(host, [])}
        paths[f"/{host}/webhook/{{connectionId}}"] = {"post": _webhook(host, [_CONNECTION])}
    paths["/health"] = {"get": _health("getHealth", "The parts of the system", _health_schema())}
    simple = {"type": "object", "properties": {"status": {"enum": ["ok", "error"]}}, "required": ["status"]}
    paths["/health/live"] = {"get": _health("getLiveness", "Whether the edge answers at all", simple)}
    paths["/health/ready"] = {"get": _health("getReadiness", "Whether every role serves", simple)}
    paths["/openapi.json"] = {"get": _page("getOpenApi", "This document", "application/json")}
    paths["/docs"] = {"get": _page("getDocs", "This document as a page", "text/html")}
    return paths


_CONNECTION = {
    "name": "connectionId",
    "in": "path",
    "required": True,
    "description": "The connection whose secret signed the body.",
    "schema": {"type": "string", "maxLength": 64},
}


def _webhook(host: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    name = "".join(part.capitalize() for part in host.split("-"))
    outcome = {
        "type": "object",
        "properties": {
            "outcome": {"enum": ["stored", "duplicate", "not_ours"]},
            "deliveryId": {"type": ["string", "null"]},
        },
        "required": ["outcome", "deliveryId"],
    }
    content = {"application/json": {"schema": outcome}}
    return {
        "operationId": f"receive{name}Webhook" + ("OfConnection" if parameters else ""),
        "tags": ["Webhooks"],
        "summary": f"Take in a webhook of {host}",
        "security": OPEN,
        "parameters": parameters,
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
        "responses": {
            "202": {"description": "Stored.", "content": content},
            "200": {"description": "Here already, or an event kind that is not ours.", "content": content},
            "default": PROBLEM_REFERENCE,
        },
    }


def _health(identifier: str, summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {
        "operationId": identifier,
        "tags": ["Health"],
        "summary": summary,
        "security": OPEN,
        "responses": {
            "200": {"description": "Well.", "content": content},
            "503": {"description": "A part is down.", "content": content},
        },
    }


def _health_schema() -> dict[str, Any]:
    application = {
        "type": "object",
        "properties": {**_STATE["properties"], "uptime": {"type": "string"}, "environment": {"type": "string"}},  # type: ignore[dict-item]
        "required": ["status", "uptime", "environment"],
    }
    database = {
        "type": "object",
        "properties": {**_STATE["properties"], "postgres": _STATE, "mongodb": _STATE},  # type: ignore[dict-item]
        "required": ["status", "postgres", "mongodb"],
    }
    details = {"application": application, "database": database, "broker": _STATE, "worker": _STATE, "llm": _STATE}
    return {
        "type": "object",
        "properties": {
            "status": {"enum": ["ok", "error"]},
            "timestamp": {"type": "string", "format": "date-time"},
            "details": {"type": "object", "properties": details, "required": list(details)},
        },
        "required": ["status", "timestamp", "details"],
    }


def _page(identifier: str, summary: str, media_type: str) -> dict[str, Any]:
    return {
        "operationId": identifier,
        "tags": ["Documentation"],
        "summary": summary,
        "security": OPEN,
        "responses": {"200": {"description": "Here it is.", "content": {media_type: {"schema": {}}}}},
    }
