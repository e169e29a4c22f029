"""What this service tells and asks others: events, the inbox of review, and which organisation is the default."""

from collections.abc import Sequence
from datetime import UTC
from uuid import UUID

import grpc
from lintel.events.v1 import pull_request_pb2
from lintel.orgs.v1 import directory_service_pb2
from lintel.orgs.v1.directory_service_pb2_grpc import DirectoryServiceStub
from lintel.review.v1 import inbox_service_pb2
from lintel.review.v1.inbox_service_pb2_grpc import InboxServiceStub

from services.kit.bus.port import Envelope
from services.kit.bus.wire import PULL_REQUEST_CHANGED, seal
from services.kit.rpc.status import rpc_errors
from services.webhooks.domain import DeadLetter, DeadLetterKind
from services.webhooks.hosts.base import PullRequestChanged, PullRequestRef

_SECONDS = 3.0


def seal_change(organization_id: UUID, event: PullRequestChanged, envelope_id: UUID | None = None) -> Envelope:
    """Put a pull request's event into an envelope, which is new unless it is given an id."""
    payload = pull_request_pb2.PullRequestChanged(
        ref=ref_to_proto(event.ref), action=event.action.value, head_sha=event.head_sha, base_ref=event.base_ref
    )
    return seal(organization_id, PULL_REQUEST_CHANGED, payload, envelope_id)


def ref_to_proto(ref: PullRequestRef) -> pull_request_pb2.PullRequestRef:
    """Build the reference as it travels."""
    return pull_request_pb2.PullRequestRef(
        host=ref.host,
        connection_id=ref.connection_id,
        repository_id=ref.repository_id,
        repository=ref.repository,
        number=ref.number,
    )


def ref_from_proto(ref: pull_request_pb2.PullRequestRef) -> PullRequestRef:
    """Read a reference that travelled."""
    return PullRequestRef(ref.host, ref.connection_id, ref.repository_id, ref.repository, ref.number)


class ReviewInbox:
    """The inbox of the review service. Methods raise AppError."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = InboxServiceStub(channel)

    async def find_missing(self, ids: Sequence[UUID]) -> set[UUID]:
        """Answer which envelopes have not arrived."""
        request = inbox_service_pb2.FindMissingRequest(envelope_ids=[str(i) for i in ids])
        with rpc_errors():
            answer = await self._stub.FindMissing(request, timeout=_SECONDS)
        return {UUID(i) for i in answer.missing_ids}

    async def list_dead(
        self, organization_id: UUID, *, with_unowned: bool, before: UUID | None, limit: int
    ) -> list[DeadLetter]:
        """Answer the events that review could not take in, newest first, those older than `before`."""
        request = inbox_service_pb2.ListDeadEnvelopesRequest(
            organization_id=str(organization_id),
            with_unowned=with_unowned,
            before_id=str(before) if before else "",
            limit=limit,
        )
        with rpc_errors():
            answer = await self._stub.ListDeadEnvelopes(request, timeout=_SECONDS)
        return [_dead_letter(envelope) for envelope in answer.envelopes]

    async def replay_dead(self, organization_id: UUID, letter_id: UUID, *, with_unowned: bool) -> DeadLetter:
        """Have one handled again. Raises AppError NOT_FOUND or WRONG_STATE."""
        request = inbox_service_pb2.ReplayDeadEnvelopeRequest(
            organization_id=str(organization_id), with_unowned=with_unowned, id=str(letter_id)
        )
        with rpc_errors():
            return _dead_letter(await self._stub.ReplayDeadEnvelope(request, timeout=_SECONDS))


def _dead_letter(envelope: inbox_service_pb2.DeadEnvelope) -> DeadLetter:
    return DeadLetter(
        id=UUID(envelope.id),
        kind=DeadLetterKind.MESSAGE if envelope.unowned else DeadLetterKind.EVENT,
        topic=envelope.topic,
        reason=envelope.reason,
        attempts=envelope.attempts,
        size=envelope.size,
        create_time=envelope.create_time.ToDatetime(tzinfo=UTC),
    )


class Directory:
    """The organisations, as orgs knows them."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = DirectoryServiceStub(channel)
        self._default: UUID | None = None

    async def default_organization(self) -> UUID:
        """Answer the default organisation; it never changes, so it is asked for once. Raises AppError."""
        if self._default is None:
            with rpc_errors():
                answer = await self._stub.GetDefaultOrganization(
                    directory_service_pb2.GetDefaultOrganizationRequest(), timeout=_SECONDS
                )
            self._default = UUID(answer.organization_id)
        return self._default
