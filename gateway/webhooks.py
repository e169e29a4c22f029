"""The webhook routes: raw bytes and an allow-list of headers go to Ingest, which decides; here only size and form."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from lintel.webhooks.v1 import ingest_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from gateway import problems
from gateway.bodies import check_encoding, declares_more, is_json, read_body
from gateway.config import MAX_WEBHOOK_BODY
from gateway.mesh import INGEST_ROLE, Mesh
from gateway.routing import Route
from gateway.transcode.names import names_by_number
from services.kit.errors import AppError, Reason
from services.kit.rpc.status import from_rpc_error
from services.kit.telemetry import log, metrics

INGEST_SECONDS = 5.0
BODY_SECONDS = 9.0  # hosts give up after ten
RETRY_AFTER = timedelta(seconds=5)
_METHOD = "/lintel.webhooks.v1.IngestService/Ingest"
_MAX_VALUE = 4096  # characters of one header
_MAX_CONNECTION_ID = 64

_GITEA_FAMILY = ("event", "event-type", "delivery", "signature", "hook-installation-target-type")
# Headers that Ingest needs, by host (A0.1 of the protocol facts).
HEADERS: dict[str, frozenset[str]] = {
    "github": frozenset(
        {"x-github-event", "x-github-delivery", "x-github-hook-id", "x-hub-signature-256"}
        | {f"x-github-hook-installation-target-{part}" for part in ("id", "type")}
    ),
    "gitlab": frozenset(
        {"x-gitlab-event", "x-gitlab-token", "x-gitlab-event-uuid", "x-gitlab-webhook-uuid", "x-gitlab-instance"}
        | {"idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature"}
    ),
    "bitbucket": frozenset(
        {"x-event-key", "x-request-uuid", "x-request-id", "x-hook-uuid", "x-attempt-number", "x-hub-signature"}
        | {"authorization"}
    ),
    "azure-repos": frozenset({"authorization"}),
    "forgejo": frozenset(
        {f"x-{name}-{part}" for name in ("forgejo", "gitea") for part in _GITEA_FAMILY} | {"x-hub-signature-256"}
    ),
}
COMMON_HEADERS = frozenset({"content-type", "user-agent"})
SIGNATURES = frozenset(
    {"x-hub-signature-256", "x-hub-signature", "x-gitlab-token", "webhook-signature", "webhook-timestamp", "webhook-id"}
    | {"authorization", "x-forgejo-signature", "x-gitea-signature"}
)
_OUTCOME_STATUS = {pb.INGEST_OUTCOME_STORED: 202, pb.INGEST_OUTCOME_DUPLICATE: 200, pb.INGEST_OUTCOME_NOT_OURS: 200}
_PASSED_ON = frozenset({Reason.SIGNATURE_INVALID, Reason.NOT_FOUND, Reason.INVALID_REQUEST, Reason.BODY_TOO_LARGE})
_logger = log.get("edge.webhooks")


class ByteBudget:
    """How many bytes of webhook bodies may be held at once, over all requests."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """Give a request its share of the budget, returned at the end of the block."""
        share = Share(self)
        try:
            yield share
        finally:
            self.used -= share.size

    def take(self, size: int) -> None:
        """Raise AppError(UNAVAILABLE) when the budget is spent."""
        if self.used + size > self._limit:
            raise AppError(
                Reason.UNAVAILABLE, "Too many webhook bytes at once; nothing was stored.", retry_after=RETRY_AFTER
            )
        self.used += size


@dataclass(slots=True)
class Share:
    """The bytes one request holds."""

    budget: ByteBudget
    size: int = 0

    def reserve(self, size: int) -> None:
        """Take `size` more bytes. Raises AppError(UNAVAILABLE)."""
        self.budget.take(size)
        self.size += size


class WebhookIntake:
    """The webhook routes of all hosts."""

    def __init__(self, mesh: Mesh, budget: ByteBudget) -> None:
        self._mesh = mesh
        self._budget = budget

    def routes(self) -> list[Route]:
        """Answer both routes of every host."""
        paths = [(host, f"/{host}/webhook{rest}") for host in HEADERS for rest in ("", "/{connectionId}")]
        return [Route("POST", path, self._endpoint(host)) for host, path in paths]

    def _endpoint(self, host: str) -> Any:
        async def endpoint(request: Request) -> ASGIApp:
            try:
                outcome, answer = await self._take_in(host, request)
            except AppError as error:
                metrics.WEBHOOKS.labels(host, error.reason.value.lower()).inc()
                answer = problems.response(error, request.scope["path"])
                if error.reason is Reason.SIGNATURE_INVALID:
                    del answer.headers["WWW-Authenticate"]
                return answer
            metrics.WEBHOOKS.labels(host, outcome).inc()
            return answer

        return endpoint

    async def _take_in(self, host: str, request: Request) -> tuple[str, Response]:
        connection_id = request.path_params.get("connectionId", "")
        if len(connection_id) > _MAX_CONNECTION_ID:
            raise AppError(Reason.NOT_FOUND, "There is no such connection.")
        with self._budget.share() as share:
            body = await self._body(request, share)
            headers = pick_headers(host, request)
            message = pb.IngestRequest(host=host, connection_id=connection_id, headers=headers, body=body)
            del body
            answer = await self._ingest(message)
        outcome = names_by_number(pb.IngestOutcome.DESCRIPTOR).get(answer.outcome)
        if outcome is None:
            raise AppError(Reason.UNAVAILABLE, "The webhook was not stored.", retry_after=RETRY_AFTER)
        told = {"outcome": outcome, "deliveryId": answer.delivery_id or None}
        return outcome, Response(
            problems.to_bytes(told), _OUTCOME_STATUS[answer.outcome], media_type="application/json"
        )

    async def _body(self, request: Request, share: Share) -> bytes:
        if not declares_more(request, MAX_WEBHOOK_BODY):  # of two faults the size is the one that is told
            self._check_form(request)
        return await read_body(request, MAX_WEBHOOK_BODY, BODY_SECONDS, share.reserve)

    def _check_form(self, request: Request) -> None:
        check_encoding(request)
        if not is_json(request.headers.get("content-type", "")):
            raise AppError(Reason.UNSUPPORTED_MEDIA_TYPE, "Choose application/json as the webhook's content type.")

    async def _ingest(self, message: pb.IngestRequest) -> pb.IngestResponse:
        call: Any = self._mesh.internal(INGEST_ROLE).unary_unary(
            _METHOD,
            request_serializer=pb.IngestRequest.SerializeToString,
            response_deserializer=pb.IngestResponse.FromString,
        )
        try:
            answer: pb.IngestResponse = await call(message, timeout=INGEST_SECONDS)
        except grpc.aio.AioRpcError as error:
            reported = from_rpc_error(error)
            if reported.reason in _PASSED_ON:
                raise problems.in_json_names(reported, pb.IngestRequest.DESCRIPTOR) from None
            _logger.warning("not stored", host=message.host, reason=reported.reason.value)
            raise AppError(Reason.UNAVAILABLE, "The webhook was not stored.", retry_after=RETRY_AFTER) from None
        return answer


def pick_headers(host: str, request: Request) -> dict[str, str]:
    """Answer the headers that travel on, names in lower case; one given twice does not.

    Raises AppError(SIGNATURE_INVALID) when a header that proves the sender is given twice.
    """
    wanted = HEADERS[host] | COMMON_HEADERS
    found: dict[str, str] = {}
    twice = set[str]()
    for name, value in request.headers.items():
        if name in wanted and len(value) <= _MAX_VALUE:
            twice.update({name} & found.keys())
            found[name] = value
    if twice & SIGNATURES:
        raise AppError(Reason.SIGNATURE_INVALID)
    return {name: value for name, value in found.items() if name not in twice}
