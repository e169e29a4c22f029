"""`/openapi.json`, and `/docs`: the same document as one page of plain HTML, without a script and without a CDN."""

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from gateway import problems
from gateway.routing import Endpoint, Route
from services.kit.errors import Reason
from services.kit.rpc.status import spec

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
h2{margin-top:2.5rem;border-bottom:1px solid #ccc}article{margin:1.5rem 0}
code,pre{font:14px/1.45 ui-monospace,monospace}
h3 code{background:#eef;padding:.2em .4em;border-radius:4px}pre{background:#f6f6f6;padding:.8rem;overflow:auto}
table{border-collapse:collapse}td,th{border:1px solid #ddd;padding:.3em .6em;text-align:left;vertical-align:top}
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}pre{background:#222}h3 code{background:#223}
td,th{border-color:#444}a{color:#8cf}}
"""
_VERBS = ("get", "post", "put", "patch", "delete")


def documentation_routes(document: dict[str, Any]) -> list[Route]:
    """Answer both routes; what they send is rendered once, here."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"
    page = "".join(_page(document)).encode()
    return [
        Route("GET", "/openapi.json", _fixed(problems.to_bytes(document), "application/json", {})),
        Route("GET", "/docs", _fixed(page, "text/html; charset=utf-8", {"content-security-policy": policy})),
    ]


def _fixed(body: bytes, media_type: str, headers: dict[str, str]) -> Endpoint:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = headers | {"etag": tag, "cache-control": "no-cache"}

    async def endpoint(request: Request) -> ASGIApp:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, 200, headers, media_type)

    return endpoint


def _page(document: dict[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
    yield f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{_text(info['description'])}</p>"
    yield '<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>'
    yield "<table><tr><th>header<th>meaning"
    for header in document["components"]["parameters"].values():
        yield f"<tr><td><code>{escape(header['name'])}</code><td>{_text(header['description'])}"
    yield "</table>"
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2><p>{_text(tag['description'])}</p>"
        for path, operations in document["paths"].items():
            for verb in _VERBS:
                if tag["name"] in operations.get(verb, {}).get("tags", ()):
                    yield from _operation(verb, path, operations[verb])
    yield "<h2>Problems</h2><table><tr><th>reason<th>status<th>title"
    for reason in Reason:
        anchor = problems.type_of(reason).partition("#")[2]
        yield f'<tr id="{anchor}"><td><code>{reason.value}</code><td>{problems.http_status(reason)}'
        yield f"<td>{escape(spec(reason).title)}"
    yield "</table><h2>Schemas</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f'<article id="{escape(name)}"><h3>{escape(name)}</h3>{_schema(schema)}</article>'
    yield "</body></html>"


def _operation(verb: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<article id="{escape(operation["operationId"])}"><h3><code>{verb.upper()} {escape(path)}</code></h3>'
    yield f"<p>{_text(operation.get('description') or operation.get('summary', ''))}</p>"
    parameters = [p for p in operation.get("parameters", ()) if "$ref" not in p]  # headers are told once, above
    if parameters:
        yield "<table><tr><th>parameter<th>in<th>rules<th>meaning"
        for parameter in parameters:
            rules = json.dumps(parameter["schema"], ensure_ascii=False)
            yield f"<tr><td><code>{escape(parameter['name'])}</code><td>{parameter['in']}"
            yield f"<td><code>{escape(rules)}</code><td>{_text(parameter.get('description', ''))}"
        yield "</table>"
    if "requestBody" in operation:
        yield f"<p>Body:</p>{_contents(operation['requestBody'])}"
    for status, answer in operation["responses"].items():
        if status == "default":
            yield '<p>Otherwise: a <a href="#Problem">Problem</a>.</p>'
        elif "$ref" not in answer:
            yield f"<p>{escape(status)}: {_text(answer['description'])}</p>{_contents(answer)}"
    yield "</article>"


def _contents(holder: dict[str, Any]) -> str:
    return "".join(_schema(content["schema"]) + _example(content) for content in holder.get("content", {}).values())


def _example(content: dict[str, Any]) -> str:
    if "example" not in content:
        return ""
    return f"<p>For example:</p><pre>{escape(json.dumps(content['example'], indent=2, ensure_ascii=False))}</pre>"


def _schema(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<p><a href="#{name}">{name}</a></p>'
    return f"<pre>{escape(json.dumps(schema, indent=2, ensure_ascii=False))}</pre>"


def _text(text: str) -> str:
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
