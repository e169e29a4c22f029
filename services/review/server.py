"""The RPCs of the review service: proto to use case and back."""

from collections.abc import AsyncIterator
from uuid import UUID

from lintel.review.v1 import code_review_service_pb2 as pb
from lintel.review.v1 import inbox_service_pb2, review_pb2
from lintel.review.v1.code_review_service_pb2_grpc import CodeReviewServiceServicer
from lintel.review.v1.inbox_service_pb2_grpc import InboxServiceServicer

from services.kit.postgres import inbox
from services.kit.postgres.pool import Database, Row
from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.timestamps import timestamp
from services.review.dead_envelopes import DeadEnvelopes
from services.review.messages import finding, receipt, review
from services.review.reviews import Reviews
from services.review.runs import Runs
from services.review.viewer import Viewer

CANCEL_REVIEW = "/lintel.review.v1.CodeReviewService/CancelReview"


class CodeReviewServer(CodeReviewServiceServicer):
    """lintel.review.v1.CodeReviewService."""

    def __init__(self, reviews: Reviews, runs: Runs) -> None:
        self._reviews = reviews
        self._runs = runs

    async def ListReviews(self, request: pb.ListReviewsRequest, context: RpcContext) -> pb.ListReviewsResponse:  # noqa: N802
        """List reviews, newest first."""
        rows, token = await self._reviews.page(
            Viewer.of(principal()),
            request.page_size,
            request.page_token,
            request.repository,
            request.pull_request_number,
        )
        return pb.ListReviewsResponse(reviews=[review(row) for row in rows], next_page_token=token)

    async def GetReview(self, request: pb.GetReviewRequest, context: RpcContext) -> pb.GetReviewResponse:  # noqa: N802
        """Answer one review with its findings and its receipt."""
        who, review_id = Viewer.of(principal()), UUID(request.id)
        row = await self._reviews.get(who, review_id)
        findings = [finding(f) for f in await self._reviews.all_findings(who, review_id)]
        return pb.GetReviewResponse(
            review=review(row), findings=findings, receipt=receipt(row) if row["receipt"] else None
        )

    async def ListFindings(self, request: pb.ListFindingsRequest, context: RpcContext) -> pb.ListFindingsResponse:  # noqa: N802
        """List the findings of a review."""
        rows, token = await self._reviews.findings_page(
            Viewer.of(principal()), UUID(request.id), request.page_size, request.page_token
        )
        return pb.ListFindingsResponse(findings=[finding(row) for row in rows], next_page_token=token)

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: RpcContext) -> review_pb2.Receipt:  # noqa: N802
        """Answer the receipt of a review; an empty one until the change has been read."""
        return receipt(await self._reviews.get(Viewer.of(principal()), UUID(request.id)))

    async def WatchReview(  # noqa: N802
        self, request: pb.WatchReviewRequest, context: RpcContext
    ) -> AsyncIterator[pb.WatchReviewResponse]:
        """Stream the review at each change."""
        async for row in self._reviews.watch(Viewer.of(principal()), UUID(request.id)):
            yield pb.WatchReviewResponse(review=review(row))

    async def replay_cancel(self, review_id: str) -> pb.CancelReviewResponse:
        """Answer again what ending this review answered: how it is now. Raises AppError NOT_FOUND."""
        return pb.CancelReviewResponse(review=review(await self._reviews.get(Viewer.of(principal()), UUID(review_id))))

    async def CancelReview(self, request: pb.CancelReviewRequest, context: RpcContext) -> pb.CancelReviewResponse:  # noqa: N802
        """End a review that has not come to its end."""
        who, review_id = Viewer.of(principal()), UUID(request.id)
        await self._reviews.get(who, review_id)  # what the caller may not see is not theirs to cancel
        await self._runs.cancel(who.organization_id, review_id)
        return pb.CancelReviewResponse(review=review(await self._reviews.get(who, review_id)))


class InboxServer(InboxServiceServicer):
    """lintel.review.v1.InboxService."""

    def __init__(self, database: Database, dead: DeadEnvelopes) -> None:
        self._database = database
        self._dead = dead

    async def FindMissing(  # noqa: N802
        self, request: inbox_service_pb2.FindMissingRequest, context: RpcContext
    ) -> inbox_service_pb2.FindMissingResponse:
        """Answer which envelopes are not here."""
        missing = await inbox.find_missing(self._database, "review", [UUID(i) for i in request.envelope_ids])
        return inbox_service_pb2.FindMissingResponse(missing_ids=[str(i) for i in missing])

    async def ListDeadEnvelopes(  # noqa: N802
        self, request: inbox_service_pb2.ListDeadEnvelopesRequest, context: RpcContext
    ) -> inbox_service_pb2.ListDeadEnvelopesResponse:
        """List what could not be taken in."""
        rows = await self._dead.list(
            UUID(request.organization_id),
            with_unowned=request.with_unowned,
            before=UUID(request.before_id) if request.before_id else None,
            limit=request.limit,
        )
        return inbox_service_pb2.ListDeadEnvelopesResponse(envelopes=[dead_envelope(row) for row in rows])

    async def ReplayDeadEnvelope(  # noqa: N802
        self, request: inbox_service_pb2.ReplayDeadEnvelopeRequest, context: RpcContext
    ) -> inbox_service_pb2.DeadEnvelope:
        """Have an envelope handled again."""
        organization_id, envelope_id = UUID(request.organization_id), UUID(request.id)
        return dead_envelope(await self._dead.replay(organization_id, envelope_id, with_unowned=request.with_unowned))


def dead_envelope(row: Row) -> inbox_service_pb2.DeadEnvelope:
    """Build the message from its row."""
    return inbox_service_pb2.DeadEnvelope(
        id=str(row["id"]),
        create_time=timestamp(row["create_time"]),
        unowned=row["organization_id"] == inbox.NOBODY,
        **{name: row[name] for name in ("topic", "reason", "attempts", "size")},
    )
