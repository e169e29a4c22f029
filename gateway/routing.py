"""One table of all routes: finds the endpoint of a request, and answers 404, 405, HEAD and OPTIONS alike."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from services.kit.errors import AppError, Reason, Violation

Endpoint: TypeAlias = Callable[[Request], Awaitable[ASGIApp]]


@dataclass(frozen=True, slots=True)
class Route:
    """A verb on a path such as `/codeReview/{id}`. The texts of its variables reach the endpoint as `path_params`.

    A route without HEAD is a stream: opening one to throw it away helps nobody.
    """

    verb: str
    path: str
    endpoint: Endpoint
    has_head: bool = True


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    variable: "_Node | None" = None
    routes: dict[str, Route] = field(default_factory=dict)


class RouteTable(BaseRoute):
    """Matches every path, so that no other answer than ours leaves the application."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Raise ValueError if a verb stands twice on one path, whatever its variables are called."""
        self._root = _Node()
        for route in routes:
            self._add(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take every HTTP request."""
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises AppError(NOT_FOUND) where there is no such path."""
        segments = _segments(scope)
        node = self._find(self._root, segments, 0)
        if node is None:
            raise AppError(Reason.NOT_FOUND, "There is no such route.")
        any_route = next(iter(node.routes.values()))
        scope["route_path"] = any_route.path
        verbs = _allowed(node)
        if scope["method"] not in verbs:
            error = AppError(Reason.METHOD_NOT_ALLOWED, f"The route has {', '.join(verbs)}.")
            await problems.response(error, scope["path"], {"Allow": ", ".join(verbs)})(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await Response(status_code=204, headers={"Allow": ", ".join(verbs)})(scope, receive, send)
        else:
            is_head = scope["method"] == "HEAD"
            route = node.routes["GET" if is_head else scope["method"]]
            scope["path_params"] = _parameters(route, segments)
            answer = await route.endpoint(Request(scope, receive))
            await answer(scope, receive, _without_body(send) if is_head else send)

    def _add(self, route: Route) -> None:
        node = self._root
        for text in route.path[1:].split("/"):
            if text.startswith("{"):
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.literals.setdefault(text, _Node())
        if route.verb in node.routes:
            raise ValueError(f"{route.verb} {route.path} is there twice")
        node.routes[route.verb] = route

    def _find(self, node: _Node, segments: list[str], at: int) -> _Node | None:
        if at == len(segments):
            return node if node.routes else None
        literal = node.literals.get(segments[at])
        found = self._find(literal, segments, at + 1) if literal else None
        if found is None and node.variable is not None and segments[at]:
            return self._find(node.variable, segments, at + 1)
        return found


def _segments(scope: Scope) -> list[str]:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    try:
        return [unquote_to_bytes(part).decode("utf-8") for part in raw.split(b"?")[0].split(b"/")[1:]]
    except UnicodeDecodeError:
        raise AppError(
            Reason.INVALID_REQUEST, violations=[Violation("path", "is not UTF-8 after percent-decoding")]
        ) from None


def _parameters(route: Route, segments: list[str]) -> dict[str, str]:
    parts = zip(route.path[1:].split("/"), segments, strict=True)
    return {name[1:-1]: text for name, text in parts if name.startswith("{")}


def _allowed(node: _Node) -> list[str]:
    verbs = set(node.routes) | {"OPTIONS"}
    if "GET" in verbs and node.routes["GET"].has_head:
        verbs.add("HEAD")
    return sorted(verbs)


def _without_body(send: Send) -> Send:
    async def pass_on(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return pass_on
