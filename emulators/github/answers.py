"""Answers as bytes and headers, the error shapes, and paging."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from emulators.github.model import User

DOCS = "https://docs.github.com/rest"


@dataclass
class Answer:
    """A complete answer; `media` is the content type without parameters."""

    status: int
    body: bytes = b""
    media: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A validated request: the operation's id, typed parameters, body, and who asks.

    `query` holds defaults too; `given` names the parameters that the request itself carried.
    """

    operation: str
    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    given: frozenset[str]
    accept: tuple[str, ...]
    user: User

    def integer(self, name: str) -> int:
        """Returns a path parameter that the description declares an integer."""
        return int(self.parameters[name])

    def wants(self, kind: str) -> bool:
        """Whether the request accepts GitHub's media type of that kind (diff, raw, object), in any of its spellings."""
        spellings = {f"application/vnd.github.{v}{kind}{suffix}" for v in ("", "v3.") for suffix in ("", "+json")}
        return not spellings.isdisjoint(self.accept)


class RefusedError(Exception):
    """The host refuses the request; `errors` are objects or plain strings, as the operation has it."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: Sequence[Any] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def answer(self) -> Answer:
        """Returns the refusal in the host's error shape."""
        body: dict[str, Any] = {"message": self.message, "documentation_url": DOCS, "status": str(self.status)}
        if self.errors:
            body["errors"] = self.errors
        return json_answer(body, self.status, self.headers)


def not_found() -> RefusedError:
    """Returns the host's answer for what isn't there, and for what this user may not know of."""
    return RefusedError(404, "Not Found")


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Returns a JSON answer."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), headers=dict(headers or {}))


def page_bounds(call: Call, cap: int, default: int | None = None) -> tuple[int, int]:
    """Returns (page, size); the host lowers a larger size to its cap in silence, and reads nonsense as the default."""
    size = default if default is not None else call.query.get("per_page", 30)
    number = call.query.get("page", 1)
    return (number if number > 0 else 1), min(size if size > 0 else 30, cap)


def paged(call: Call, items: Sequence[Any], cap: int, base_url: str) -> tuple[list[Any], dict[str, str]]:
    """Returns the items of the page that was asked for, and the `Link` header when there are other pages."""
    number, size = page_bounds(call, cap)
    return list(items[(number - 1) * size : number * size]), link_header(call, number, size, len(items), base_url)


def link_header(call: Call, number: int, size: int, total: int, base_url: str) -> dict[str, str]:
    """Returns the `Link` header with prev, next, last and first as far as they exist."""
    last = max((total + size - 1) // size, 1)
    pages = [("prev", number - 1)] if number > 1 else []
    if number < last:
        pages += [("next", number + 1), ("last", last)]
    if number > 1:
        pages.append(("first", 1))
    links = []
    for relation, page in pages:
        query = {name: call.query[name] for name in sorted(call.given)} | {"page": page}
        links.append(f'<{base_url}{call.path}?{urlencode(query)}>; rel="{relation}"')
    return {"Link": ", ".join(links)} if links else {}
