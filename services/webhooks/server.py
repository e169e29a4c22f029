"""The RPCs of the webhooks service: proto to use case and back."""

from collections.abc import AsyncIterator
from uuid import UUID

from lintel.webhooks.v1 import code_host_service_pb2, ingest_service_pb2
from lintel.webhooks.v1 import delivery_service_pb2 as pb
from lintel.webhooks.v1.code_host_service_pb2_grpc import CodeHostServiceServicer
from lintel.webhooks.v1.delivery_service_pb2_grpc import DeliveryServiceServicer
from lintel.webhooks.v1.ingest_service_pb2_grpc import IngestServiceServicer

from services.kit.postgres import audit
from services.kit.postgres.pool import Row
from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.timestamps import timestamp
from services.webhooks.clients import ref_from_proto, ref_to_proto
from services.webhooks.code_hosts import CodeHosts
from services.webhooks.dead_letters import DeadLetters
from services.webhooks.deliveries import Deliveries
from services.webhooks.domain import DeadLetter, DeliveryState
from services.webhooks.health import WebhookHealth
from services.webhooks.hosts.base import ChangedFile, Omission, PullRequest, SourcePiece
from services.webhooks.intake import Intake
from services.webhooks.publication_texts import Finding
from services.webhooks.publications import Publications, PublishRequest


class IngestServer(IngestServiceServicer):
    """lintel.webhooks.v1.IngestService."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def Ingest(  # noqa: N802
        self, request: ingest_service_pb2.IngestRequest, context: RpcContext
    ) -> ingest_service_pb2.IngestResponse:
        """Verify and store a webhook request."""
        outcome, delivery_id = await self._intake.ingest(
            request.host, request.connection_id, dict(request.headers), request.body
        )
        return ingest_service_pb2.IngestResponse(
            outcome=ingest_service_pb2.IngestOutcome.Value(f"INGEST_OUTCOME_{outcome}"),
            delivery_id=str(delivery_id) if delivery_id else "",
        )


class DeliveryServer(DeliveryServiceServicer):
    """lintel.webhooks.v1.DeliveryService."""

    def __init__(self, deliveries: Deliveries, dead: DeadLetters, health: WebhookHealth) -> None:
        self._deliveries = deliveries
        self._dead = dead
        self._health = health

    async def GetWebhookHealth(  # noqa: N802
        self, request: pb.GetWebhookHealthRequest, context: RpcContext
    ) -> pb.GetWebhookHealthResponse:
        """Answer how each repository is doing."""
        rows, token = await self._health.page(principal().organization_id, request.page_size, request.page_token)
        return pb.GetWebhookHealthResponse(repositories=[repository_health(row) for row in rows], next_page_token=token)

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: RpcContext) -> pb.ListDeliveriesResponse:  # noqa: N802
        """List deliveries, newest first."""
        name = pb.DeliveryState.Name(request.state).removeprefix("DELIVERY_STATE_")
        state = DeliveryState(name) if request.state else None
        rows, token = await self._deliveries.page(
            principal().organization_id,
            request.page_size,
            request.page_token,
            state,
            request.host,
            request.repository,
        )
        return pb.ListDeliveriesResponse(deliveries=[delivery(row) for row in rows], next_page_token=token)

    async def GetDelivery(self, request: pb.GetDeliveryRequest, context: RpcContext) -> pb.Delivery:  # noqa: N802
        """Answer one delivery."""
        return delivery(await self._deliveries.get(principal().organization_id, UUID(request.id)))

    async def RedeliverDelivery(self, request: pb.RedeliverDeliveryRequest, context: RpcContext) -> pb.Delivery:  # noqa: N802
        """Handle a delivery again."""
        return delivery(await self._deliveries.redeliver(principal().organization_id, UUID(request.id), audit.caller()))

    async def ListDeadLetters(  # noqa: N802
        self, request: pb.ListDeadLettersRequest, context: RpcContext
    ) -> pb.ListDeadLettersResponse:
        """List what nobody could handle."""
        letters, token = await self._dead.page(principal().organization_id, request.page_size, request.page_token)
        return pb.ListDeadLettersResponse(
            dead_letters=[dead_letter(letter) for letter in letters], next_page_token=token
        )

    async def ReplayDeadLetter(self, request: pb.ReplayDeadLetterRequest, context: RpcContext) -> pb.DeadLetter:  # noqa: N802
        """Handle a dead letter again."""
        return dead_letter(await self._dead.replay(principal().organization_id, UUID(request.id), audit.caller()))


class CodeHostServer(CodeHostServiceServicer):
    """lintel.webhooks.v1.CodeHostService."""

    def __init__(self, hosts: CodeHosts, publications: Publications) -> None:
        self._hosts = hosts
        self._publications = publications

    async def GetPullRequest(  # noqa: N802
        self, request: code_host_service_pb2.GetPullRequestRequest, context: RpcContext
    ) -> code_host_service_pb2.PullRequest:
        """Answer the pull request as it is now."""
        return pull_request(await self._hosts.get_pull_request(ref_from_proto(request.ref)))

    async def ReadSource(  # noqa: N802
        self, request: code_host_service_pb2.ReadSourceRequest, context: RpcContext
    ) -> AsyncIterator[code_host_service_pb2.ReadSourceResponse]:
        """Stream the change."""
        async for piece in self._hosts.read_source(ref_from_proto(request.ref)):
            yield source_piece(piece)

    async def Publish(  # noqa: N802
        self, request: code_host_service_pb2.PublishRequest, context: RpcContext
    ) -> code_host_service_pb2.PublishResponse:
        """Bring the host to where the items of the run say."""
        asked = PublishRequest(
            organization_id=UUID(request.organization_id),
            ref=ref_from_proto(request.ref),
            run_id=UUID(request.run_id),
            epoch=request.epoch,
            head_sha=request.head_sha,
            base_ref=request.base_ref,
            summary=request.summary,
            findings=tuple(
                Finding(f.fingerprint, f.path, f.left, f.start_line, f.end_line, f.body) for f in request.findings
            ),
            head_may_have_moved=request.head_may_have_moved,
        )
        done = await self._publications.publish(self._hosts.get(asked.ref), asked)
        return code_host_service_pb2.PublishResponse(
            outcome=code_host_service_pb2.PublishOutcome.Value(f"PUBLISH_OUTCOME_{done.outcome}"),
            reason=done.reason,
            retry_time=timestamp(done.retry_time),
            url=done.url,
            demoted=done.demoted,
        )


def delivery(row: Row) -> pb.Delivery:
    """Build the API's delivery from its row."""
    same = ("host", "host_delivery_id", "event", "reason", "attempts", "body_size", "repository")
    return pb.Delivery(
        id=str(row["id"]),
        state=pb.DeliveryState.Value(f"DELIVERY_STATE_{row['state']}"),
        create_time=timestamp(row["create_time"]),
        update_time=timestamp(row["update_time"]),
        **{name: row[name] for name in same},
    )


def dead_letter(letter: DeadLetter) -> pb.DeadLetter:
    """Build the API's dead letter."""
    same = ("topic", "reason", "attempts", "size", "host", "repository")
    return pb.DeadLetter(
        id=str(letter.id),
        kind=pb.DeadLetterKind.Value(f"DEAD_LETTER_KIND_{letter.kind}"),
        create_time=timestamp(letter.create_time),
        **{name: getattr(letter, name) for name in same},
    )


def repository_health(row: Row) -> pb.RepositoryHealth:
    """Build the API's view of a repository from its row."""
    failures = [
        pb.WebhookFailure(
            kind=kind, reason=row[f"{name}_reason"], time=timestamp(row[f"{name}_time"]), count=row[counted]
        )
        for kind, name, counted in (
            (pb.WEBHOOK_FAILURE_KIND_DELIVERY, "failed", "failed"),
            (pb.WEBHOOK_FAILURE_KIND_SWEEP, "failure", "failures"),
            (pb.WEBHOOK_FAILURE_KIND_PUBLICATION, "refused", "refused"),
        )
        if row[counted]
    ]
    return pb.RepositoryHealth(
        host=row["host"],
        repository=row["repository"],
        connection_id=row["connection_id"],
        connect_time=timestamp(row["connect_time"]),
        last_delivery_time=timestamp(row["last_delivery_time"]),
        sweep_time=timestamp(row["sweep_time"]),
        failures=failures,
    )


def pull_request(found: PullRequest) -> code_host_service_pb2.PullRequest:
    """Build the pull request as it travels."""
    same = ("open", "draft", "head_sha", "base_ref", "base_sha", "url", "title")
    return code_host_service_pb2.PullRequest(
        ref=ref_to_proto(found.ref), **{name: getattr(found, name) for name in same}
    )


def source_piece(piece: SourcePiece) -> code_host_service_pb2.ReadSourceResponse:
    """Build one piece of the change as it travels."""
    if isinstance(piece, PullRequest):
        return code_host_service_pb2.ReadSourceResponse(pull_request=pull_request(piece))
    if isinstance(piece, Omission):
        return code_host_service_pb2.ReadSourceResponse(omission=piece.text)
    return code_host_service_pb2.ReadSourceResponse(file=_file(piece))


def _file(file: ChangedFile) -> code_host_service_pb2.ChangedFile:
    return code_host_service_pb2.ChangedFile(
        path=file.path,
        status=file.status,
        previous_path=file.previous_path,
        patch=file.patch,
        head=file.head,
        base=file.base,
        old_mode=file.old_mode,
        new_mode=file.new_mode,
        reason=file.reason,
    )
