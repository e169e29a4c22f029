"""The vendored descriptions: cut as documented, and strict in both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulators.github import cut_openapi
from emulators.github.description import Description, load_openapi


def test_every_operation_of_the_cut_is_served() -> None:
    listed = sum(len(methods) for methods in cut_openapi.OPERATIONS.values())
    assert len(load_openapi().operations) == listed == 29


def test_paths_lead_to_one_operation() -> None:
    cases = {
        ("GET", "/repos/o/r/pulls/comments/5"): "pulls/get-review-comment",
        ("GET", "/repos/o/r/pulls/5/comments"): "pulls/list-review-comments",
        ("GET", "/repos/o/r/contents/a/b/c"): "repos/get-content",
        ("GET", "/repos/o/r/compare/a/b...c/d"): "repos/compare-commits-with-basehead",
        ("GET", "/repos/o/r/pulls/x"): None,
        ("GET", "/repos/o/r/pulls/1/"): None,
        ("DELETE", "/user"): None,
        ("GET", "/repos/o/r/pulls/" + "9" * 30): None,
    }
    for (method, path), expected in cases.items():
        found = load_openapi().match(method, path)
        assert (found[0].id if found else None) == expected, path


def test_answers_are_held_to_the_schema() -> None:
    found = load_openapi().match("GET", "/repos/o/r/pulls/1/files")
    assert found is not None
    operation = found[0]

    def wrong(status: int, value: Any, media: str = "application/json") -> list[str]:
        return load_openapi().check_response(operation, status, media, json.dumps(value).encode())

    assert wrong(200, []) == []
    assert wrong(200, [{"sha": None}])
    assert wrong(200, {})
    assert wrong(201, [])
    assert wrong(404, {"message": "Not Found"}) == []
    assert wrong(404, {"message": 4})
    assert wrong(422, {"message": "m"})
    assert wrong(422, {"message": "m", "documentation_url": "u", "errors": [{"code": "x"}]}) == []


def test_nullable_and_named_like_keywords() -> None:
    document = {
        "paths": {},
        "components": {
            "schemas": {
                "thing": {
                    "type": "object",
                    "required": ["when"],
                    "properties": {
                        "when": {"type": "string", "format": "date-time", "nullable": True},
                        "nullable": {"type": "boolean"},
                        "link": {"type": "string", "format": "uri"},
                        "kind": {"type": "string", "enum": ["a"], "nullable": True},
                    },
                }
            }
        },
    }
    description = Description(document, "urn:test")
    schema = {"$ref": "urn:test#/components/schemas/thing"}
    for value in ({"when": None}, {"when": "2026-01-01T00:00:00Z", "kind": None}, {"when": None, "nullable": True}):
        assert description.schema_errors(schema, value) == []
    for bad in ({}, {"when": "soon"}, {"when": "2026-01-01T00:00:00"}, {"when": None, "nullable": None}):
        assert description.schema_errors(schema, bad)
    assert description.schema_errors(schema, {"when": None, "link": "no link"})
    assert description.schema_errors(schema, {"when": None, "kind": "b"})


def test_the_cut_keeps_what_it_needs_and_no_prose() -> None:
    components = {
        "schemas": {
            "used": {"properties": {"description": {"type": "string"}, "deep": {"$ref": "#/components/schemas/deep"}}},
            "deep": {"type": "object", "description": "prose", "example": {"a": 1}},
            "unused": {"type": "string"},
        }
    }
    cut = cut_openapi.closure({"components": components}, {"$ref": "#/components/schemas/used"})
    assert cut == {
        "schemas": {
            "used": {"properties": {"description": {"type": "string"}, "deep": {"$ref": "#/components/schemas/deep"}}},
            "deep": {"type": "object"},
        }
    }
    with pytest.raises(KeyError):
        cut_openapi.closure({"components": {}}, {"$ref": "#/components/schemas/gone"})


def test_the_vendored_files_carry_source_and_licence() -> None:
    for path in (cut_openapi.OPENAPI, cut_openapi.WEBHOOKS):
        document = json.loads(path.read_text())
        assert "sha256" in document["x-source"]
        assert document["x-amendments"]
    assert "MIT License" in Path(cut_openapi.HERE, "LICENSE.openapi").read_text()


def test_the_cut_of_the_cut_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cutting is idempotent up to source and amendments, which `--check` notices."""
    monkeypatch.setattr(cut_openapi, "AMENDMENTS", ())
    document = json.loads(cut_openapi.OPENAPI.read_text())
    again = cut_openapi.cut_openapi(document, document["x-source"])
    assert {**again, "x-amendments": document["x-amendments"]} == document
    arguments = ["--openapi", str(cut_openapi.OPENAPI), "--webhooks", str(cut_openapi.WEBHOOKS), "--check"]
    assert cut_openapi.main(arguments) == 1
