"""The OpenAPI document is valid, complete, and true of what the routes do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from gateway.openapi.__main__ import main
from gateway.openapi.examples import EXAMPLES
from gateway.problems import http_status
from gateway.public import PUBLIC_SERVICES
from gateway.transcode.rules import read_rules
from gateway.webhooks import HEADERS
from services.kit.errors import AppError, Reason
from tests.integration.edge.upstream import ID, Upstream

ROOT = Path(__file__).parents[3]
SCHEMA = ROOT / "tests" / "fixtures" / "openapi" / "schema-3.1-2022-10-07.json"


@pytest.fixture
async def document(rest: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await rest.get("/openapi.json", headers={"authorization": ""})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


async def test_it_is_a_valid_document(document: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_text())
    assert [e.message for e in validator_for(schema)(schema).iter_errors(document)] == []
    for component in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(component)


async def test_every_reference_and_identifier_resolves(document: dict[str, Any]) -> None:
    for part in walk(document):
        if isinstance(part.get("$ref"), str):
            target: Any = document
            for name in part["$ref"].removeprefix("#/").split("/"):
                target = target[name]
    operations = [o for p in document["paths"].values() for o in p.values()]
    identifiers = [o["operationId"] for o in operations]
    assert len(identifiers) == len(set(identifiers))
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = {p["name"] for p in operation.get("parameters", ()) if p.get("in") == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert operation["summary"]


async def test_every_route_is_in_it(document: dict[str, Any]) -> None:
    derived = {(r.path, r.verb.lower()) for r in read_rules(PUBLIC_SERVICES)}
    webhooks = {(f"/{h}/webhook{rest}", "post") for h in HEADERS for rest in ("", "/{connectionId}")}
    fixed = {(p, "get") for p in ("/health", "/health/live", "/health/ready", "/docs", "/openapi.json")}
    described = {(path, verb) for path, verbs in document["paths"].items() for verb in verbs}
    assert described == derived | webhooks | fixed


async def test_answers_fit_their_schemas(
    rest: httpx2.AsyncClient, upstream: Upstream, document: dict[str, Any]
) -> None:
    for path, verb, status in (
        ("/codeReview/{id}", "get", "200"),
        ("/codeReview", "get", "200"),
        ("/auth/api-keys", "post", "201"),
        ("/webhook-health/deliveries/{id}", "get", "200"),
        ("/health", "get", "200"),
        ("/github/webhook", "post", "202"),
    ):
        body = {"json": {"name": "x"}} if verb == "post" else {}
        answer = await rest.request(verb.upper(), path.replace("{id}", ID), **body)  # type: ignore[arg-type]
        assert str(answer.status_code) == status
        schema = document["paths"][path][verb]["responses"][status]["content"]["application/json"]["schema"]
        check(document, schema, answer.json())
    upstream.script.error = AppError(Reason.NOT_FOUND)
    check(document, {"$ref": "#/components/schemas/Problem"}, (await rest.get("/organization")).json())


async def test_every_body_has_an_example_that_fits(document: dict[str, Any]) -> None:
    bodies = {
        o["operationId"]: o["requestBody"]["content"]["application/json"]
        for verbs in document["paths"].values()
        for o in verbs.values()
        if "requestBody" in o and o["tags"] != ["Webhooks"]
    }
    assert bodies.keys() == EXAMPLES.keys()
    for content in bodies.values():
        check(document, content["schema"], content["example"])


def test_the_committed_document_is_the_one_that_is_served(tmp_path: Path) -> None:
    main(tmp_path / "openapi.json")
    assert (tmp_path / "openapi.json").read_text() == (ROOT / "docs" / "openapi.json").read_text()


async def test_declared_rules_are_told(document: dict[str, Any]) -> None:
    body = document["components"]["schemas"]["auth.v1.CreateApiKeyRequest"]
    assert body["required"] == ["name"]
    assert body["additionalProperties"] is False
    assert (body["properties"]["name"]["minLength"], body["properties"]["name"]["maxLength"]) == (1, 100)
    assert body["properties"]["scopes"]["maxItems"] == 2
    parameter, header = document["paths"]["/codeReview/{id}"]["get"]["parameters"]
    assert header == {"$ref": "#/components/parameters/RequestTimeout"}
    assert parameter["schema"]["format"] == "uuid"
    parameters = document["paths"]["/webhook-health/deliveries"]["get"]["parameters"]
    assert parameters[0]["schema"]["minimum"] == 0
    assert parameters[2]["schema"]["enum"] == ["received", "processed", "ignored", "failed"]
    problem = document["components"]["schemas"]["Problem"]
    assert problem["properties"]["reason"]["enum"] == [r.value for r in Reason]


async def test_failures_are_told_by_status_with_their_reasons(document: dict[str, Any]) -> None:
    one = document["paths"]["/codeReview/{id}"]["get"]
    assert set(one["responses"]) == {"200", "400", "401", "403", "404", "429", "500", "503", "504", "default"}
    create = document["paths"]["/codeReview/local"]["post"]
    assert set(create["responses"]) >= {"202", "409", "413", "415"}
    assert {"$ref": "#/components/parameters/IdempotencyKey"} in create["parameters"]
    assert {"$ref": "#/components/parameters/IdempotencyKey"} not in document["paths"]["/auth/api-keys"]["post"][
        "parameters"
    ]
    told = document["components"]["responses"]
    assert "`IDEMPOTENCY_KEY_REUSED`" in told["Problem409"]["description"]
    assert "Retry-After" in told["Problem429"]["headers"]
    for reason in Reason:
        assert f"`{reason.value}`" in told[f"Problem{http_status(reason)}"]["description"]


async def test_the_page_needs_nothing_else(rest: httpx2.AsyncClient, document: dict[str, Any]) -> None:
    answer = await rest.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in answer.text
    assert "http://" not in answer.text
    for path in document["paths"]:
        assert path in answer.text
    for reason in Reason:
        assert f'id="{reason.value.lower().replace("_", "-")}"' in answer.text
    again = await rest.get("/docs", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    whole = {**schema, "components": document["components"]}
    errors = [f"{e.json_path}: {e.message}" for e in Draft202012Validator(whole).iter_errors(value)]
    assert errors == []
