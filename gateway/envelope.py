"""What every answer of the edge has in common: request id, trace, security headers, one log line, no traceback."""

import re
import time
from typing import Any
from uuid import uuid4

import structlog
from opentelemetry.trace import SpanKind
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from services.kit.errors import AppError, Reason
from services.kit.rpc.context import request_id
from services.kit.telemetry import log, metrics, trace

REQUEST_ID = "x-request-id"
_SANE_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_logger = log.get("edge")


class Envelope:
    """ASGI middleware around the whole application; errors end here as problem documents."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = given_header(scope, REQUEST_ID, _SANE_ID) or uuid4().hex
        request_id.set(identifier)
        with (
            structlog.contextvars.bound_contextvars(request_id=identifier),
            trace.span(
                f"HTTP {scope['method']}",
                parent=given_header(scope, trace.HEADER, _TRACEPARENT) or None,
                kind=SpanKind.SERVER,
            ) as span,
        ):
            exchange = _Exchange(scope, send, identifier)
            try:
                await self._answer(scope, receive, exchange)
            finally:
                span.update_name(f"HTTP {scope['method']} {exchange.route}")
                span.set_attribute("http.response.status_code", exchange.status)
                exchange.record()

    async def _answer(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        try:
            await self._app(scope, receive, exchange.send)
        except AppError as error:
            if exchange.status:
                raise
            await problems.response(error, scope["path"])(scope, receive, exchange.send)
        except Exception:
            _logger.exception("unexpected", route=exchange.route)
            if exchange.status:
                raise
            await problems.response(AppError(Reason.INTERNAL), scope["path"])(scope, receive, exchange.send)


class _Exchange:
    """One request's way out: adds the headers, keeps what the log line says."""

    def __init__(self, scope: Scope, send: Send, identifier: str) -> None:
        self._scope = scope
        self._send = send
        self._identifier = identifier
        self._started = time.perf_counter()
        self.status = 0

    @property
    def route(self) -> str:
        """The path template that matched; a label must not grow with what callers send."""
        return str(self._scope.get("route_path", "unmatched"))

    async def send(self, message: Message) -> None:
        """Pass a message on, the head of the answer with our headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._identifier
            if current := trace.traceparent():
                headers[trace.HEADER] = current
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    def record(self) -> None:
        """Write the log line and the metric; never a query, a body or a credential."""
        seconds = time.perf_counter() - self._started
        verb = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        metrics.HTTP_SECONDS.labels(self.route, verb, str(self.status)).observe(seconds)
        _logger.info("request", method=verb, route=self.route, status=self.status, duration_ms=round(seconds * 1000, 1))


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def given_header(scope: Scope, name: str, pattern: "re.Pattern[str]") -> str:
    """Answer a header that stands once and fits the pattern, else an empty string."""
    values: list[Any] = [v for k, v in scope["headers"] if k == name.encode()]
    text = values[0].decode("latin-1") if len(values) == 1 else ""
    return text if pattern.match(text) else ""
