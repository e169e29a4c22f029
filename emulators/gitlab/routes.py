"""The operations that are served: their paths, and what of a request each allows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_PAGE = {"page": r"[1-9]\d*", "per_page": r"[1-9]\d?|100"}
_REQUEST = "/projects/{project}/merge_requests/{number}"


@dataclass(frozen=True)
class Operation:
    """One operation; `query` and `body` name what is allowed, as patterns and as types; `needed` must be there."""

    id: str
    method: str
    template: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, type] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Returns the parameters when the request is for this operation; `path` still has its escapes."""
        if method != self.method:
            return None
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template)
        found = re.fullmatch("/api/v4" + pattern, path)
        return found.groupdict() if found else None


_ORDER = {"order_by": "created_at|updated_at", "sort": "asc|desc"}
OPERATIONS: tuple[Operation, ...] = (
    Operation("user", "GET", "/user"),
    Operation(
        "merge_requests",
        "GET",
        "/projects/{project}/merge_requests",
        {**_PAGE, **_ORDER, "state": "opened|closed|merged|all", "scope": "all|created_by_me|assigned_to_me"},
    ),
    Operation("merge_request", "GET", _REQUEST),
    Operation("diffs", "GET", _REQUEST + "/diffs", {**_PAGE, "unidiff": "true|false"}),
    Operation("versions", "GET", _REQUEST + "/versions", _PAGE),
    Operation("version", "GET", _REQUEST + "/versions/{id}", {"unidiff": "true|false"}),
    Operation(
        "raw_file", "GET", "/projects/{project}/repository/files/{path}/raw", {"ref": r"\S+", "lfs": "true|false"}
    ),
    Operation("notes", "GET", _REQUEST + "/notes", {**_PAGE, **_ORDER}),
    Operation("note", "GET", _REQUEST + "/notes/{id}"),
    Operation("create_note", "POST", _REQUEST + "/notes", {}, {"body": str}, frozenset({"body"})),
    Operation("update_note", "PUT", _REQUEST + "/notes/{id}", {}, {"body": str}, frozenset({"body"})),
    Operation("delete_note", "DELETE", _REQUEST + "/notes/{id}"),
    Operation("draft_notes", "GET", _REQUEST + "/draft_notes", _PAGE),
    Operation("publish_drafts", "POST", _REQUEST + "/draft_notes/bulk_publish"),
    Operation(
        "create_draft", "POST", _REQUEST + "/draft_notes", {}, {"note": str, "position": dict}, frozenset({"note"})
    ),
    Operation("delete_draft", "DELETE", _REQUEST + "/draft_notes/{id}"),
)
BY_ID = {operation.id: operation for operation in OPERATIONS}


def find(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """Returns the operation of a request with its path's parameters."""
    for operation in OPERATIONS:
        parameters = operation.match(method, path)
        if parameters is not None:
            return operation, parameters
    return None


def wrong_query(operation: Operation, pairs: list[tuple[str, str]]) -> list[str]:
    """Returns what of a query the operation does not allow."""
    named = dict(pairs)
    wrong = ["a query parameter twice"] if len(named) != len(pairs) else []
    for name, value in pairs:
        pattern = operation.query.get(name)
        if pattern is None or not re.fullmatch(pattern, value):
            wrong.append(f"query {name}={value[:40]!r}")
    return wrong


def wrong_body(operation: Operation, body: Any) -> list[str]:
    """Returns what of a body the operation does not allow."""
    given = {} if body is None else body
    wrong = [f"body without {name}" for name in operation.needed if name not in given]
    for name, value in given.items():
        if not isinstance(value, operation.body.get(name, ())):
            wrong.append(f"body field {name!r}")
    return wrong
