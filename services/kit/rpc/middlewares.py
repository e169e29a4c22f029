"""The middlewares of every server, outermost first: trace, metrics, access log, request id, deadline, admission,
authenticate, authorize, validate, error boundary. A refused call is thus counted and logged like any other."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import protovalidate
import structlog
from google.protobuf.message import Message
from opentelemetry.trace import SpanKind

from services.kit.errors import AppError, Reason, Violation
from services.kit.rpc import tls
from services.kit.rpc.chain import Call, Middleware, Next
from services.kit.rpc.context import Principal, client_address, deadline, principal, request_id, set_principal
from services.kit.rpc.requests import nul_violations
from services.kit.rpc.status import code
from services.kit.telemetry import log as logs
from services.kit.telemetry import metrics
from services.kit.telemetry import trace as traces

CALLER = "x-lintel-caller"
REQUEST_ID = "x-request-id"
CLIENT_ADDRESS = "x-lintel-client-address"  # set by the edge, which removes what comes from outside under x-lintel-
USEFUL_TIME = 0.1  # seconds; with less left a call is refused at once, as its answer would come too late
SHAVED_TIME = 0.02  # seconds kept back to report which inner call was slow (boulder's figure)
MAX_VIOLATIONS = 20  # they travel as metadata, of which gRPC takes 8 KiB
_SANE_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_logger = logs.get("rpc")

Authenticator = Callable[[str], Awaitable[Principal]]  # bearer credential -> principal; raises UNAUTHENTICATED


async def trace(call: Call, proceed: Next) -> None:
    """Continue the caller's trace in a span of this call."""
    with traces.span(call.method.lstrip("/"), parent=call.metadata.get(traces.HEADER), kind=SpanKind.SERVER) as span:
        try:
            await proceed()
        except AppError as error:
            span.set_attribute("rpc.error_reason", error.reason.value)
            raise


async def measure(call: Call, proceed: Next) -> None:
    """Count and time the call by method and code."""
    started, outcome = time.perf_counter(), "OK"
    try:
        await proceed()
    except BaseException as error:
        outcome = _outcome(error)
        raise
    finally:
        metrics.RPC_SECONDS.labels(call.method, outcome).observe(time.perf_counter() - started)


async def access_log(call: Call, proceed: Next) -> None:
    """Write one line for the call: never its content, never a credential."""
    started, outcome = time.perf_counter(), "OK"
    try:
        await proceed()
    except BaseException as error:
        outcome = _outcome(error)
        if isinstance(error, AppError):
            call.log["reason"] = error.reason.value
        raise
    finally:
        milliseconds = round((time.perf_counter() - started) * 1000, 1)
        _logger.info("call", method=call.method, code=outcome, duration_ms=milliseconds, **call.log)


async def identify(call: Call, proceed: Next) -> None:
    """Take the caller's request id if it is sane, else make one; it stands in every log line below.

    The outside caller's address is what the edge says: nobody else opens a public listener.
    """
    given = call.metadata.get(REQUEST_ID, "")
    identifier = given if _SANE_ID.match(given) else uuid4().hex
    request_id.set(identifier)
    client_address.set("" if call.rule.is_internal else call.metadata.get(CLIENT_ADDRESS, ""))
    with structlog.contextvars.bound_contextvars(request_id=identifier):
        await proceed()


async def limit_time(call: Call, proceed: Next) -> None:
    """Hold the call to the caller's deadline, or to the one of the policy where the caller sets none."""
    left: float | None = call.context.time_remaining()  # None without a deadline, whatever the stubs say
    allowed = call.rule.deadline.total_seconds() if left is None else left
    if allowed < USEFUL_TIME:
        raise AppError(Reason.DEADLINE_EXCEEDED)
    deadline.set(asyncio.get_running_loop().time() + allowed - SHAVED_TIME)
    try:
        async with asyncio.timeout(allowed - SHAVED_TIME):
            await proceed()
    except TimeoutError:
        raise AppError(Reason.DEADLINE_EXCEEDED) from None


def admit(limit: int, name: str) -> Middleware:
    """Refuse at once what exceeds `limit` calls at a time, so that the ones inside come to their end."""
    inside = 0
    gauge = metrics.RPC_IN_FLIGHT.labels(name)

    async def middleware(call: Call, proceed: Next) -> None:
        nonlocal inside
        if inside >= limit:
            metrics.RPC_REFUSED.inc()
            raise AppError(Reason.OVERLOADED, retry_after=timedelta(seconds=1))
        inside += 1
        gauge.set(inside)
        try:
            await proceed()
        finally:
            inside -= 1
            gauge.set(inside)

    return middleware


def authenticate(resolve: Authenticator) -> Middleware:
    """Find out on whose behalf a public call is made; without a credential the call goes on as nobody's."""

    async def middleware(call: Call, proceed: Next) -> None:
        set_principal(None)
        scheme, _, credential = call.metadata.get("authorization", "").strip().partition(" ")
        if credential and not call.rule.is_open:
            if scheme.lower() != "bearer":
                raise AppError(Reason.UNAUTHENTICATED, "Only `Authorization: Bearer …` is accepted.")
            found = await resolve(credential.strip())
            set_principal(found)
            call.log["organization_id"] = str(found.organization_id)
        await proceed()

    return middleware


async def authorize(call: Call, proceed: Next) -> None:
    """Hold the caller's role and scopes against the policy table."""
    if not call.rule.is_open:
        who = principal()
        if who.role not in call.rule.roles:
            raise AppError(Reason.PERMISSION_DENIED, role=who.role)
        if call.rule.writes and "all" not in who.scopes:
            raise AppError(Reason.PERMISSION_DENIED, "This key may only read.")
    await proceed()


def authorize_caller(*, by_certificate: bool) -> Middleware:
    """On the internal listener: let in the roles of the mesh that the policy table names.

    In a private directory a caller is believed its name; over a network its certificate must carry it.
    """

    async def middleware(call: Call, proceed: Next) -> None:
        caller = call.metadata.get(CALLER, "")
        call.log["caller"] = caller
        if caller not in call.rule.callers:
            raise AppError(Reason.PERMISSION_DENIED, caller=caller)
        if by_certificate and not tls.is_named(call.context, [caller]):
            raise AppError(Reason.PERMISSION_DENIED, "The certificate is not that of this caller.", caller=caller)
        await proceed()

    return middleware


def only_from(roles: Sequence[str]) -> Middleware:
    """On a public listener over a network: let in whose certificate names one of these roles."""

    async def middleware(call: Call, proceed: Next) -> None:
        if not tls.is_named(call.context, roles):
            raise AppError(Reason.PERMISSION_DENIED, "Public services are reached through the edge.")
        await proceed()

    return middleware


async def validate(call: Call, proceed: Next) -> None:
    """Hold the request against the rules declared in its proto; names every field that breaks one.

    Text from outside holds no NUL; between roles it may, as code under review does.
    """
    if not call.is_readable:
        raise AppError(Reason.INVALID_REQUEST, "The request is not a message of this method.")
    if call.request is not None:
        check_request(call.request, from_outside=not call.rule.is_internal)
    await proceed()


def check_request(request: Message, *, from_outside: bool = True) -> None:
    """Raise AppError(INVALID_REQUEST) that names every field which breaks a rule; for messages of a stream too."""
    violations = [_violation(v.proto) for v in protovalidate.collect_violations(request)]
    if from_outside:
        violations += nul_violations(request)
    if violations:
        raise AppError(Reason.INVALID_REQUEST, violations=violations[:MAX_VIOLATIONS])


async def error_boundary(call: Call, proceed: Next) -> None:
    """Let AppError pass; log anything else with its trace, and tell the caller nothing but the request id."""
    try:
        await proceed()
    except (AppError, grpc.aio.AbortError):
        raise
    except Exception:
        _logger.exception("unexpected", method=call.method)
        raise AppError(Reason.INTERNAL, f"Internal error; request id {request_id.get()}") from None


def _violation(found: Any) -> Violation:
    path = ".".join(_name(element) for element in found.field.elements) if found.field else ""
    return Violation(path, found.message, found.rule_id)


def _name(element: Any) -> str:
    place = element.subscript  # None, or which item of a list, or which key of a map
    return f"{element.field_name}[{place.value}]" if place is not None else str(element.field_name)


def _outcome(error: BaseException) -> str:
    if isinstance(error, AppError):
        return code(error.reason).name
    return "CANCELLED" if isinstance(error, asyncio.CancelledError) else "UNKNOWN"
