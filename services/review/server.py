"""The RPCs of the review service: proto to use case and back."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from google.protobuf.json_format import ParseDict
from lintel.review.v1 import code_review_service_pb2 as pb
from lintel.review.v1 import inbox_service_pb2, review_pb2
from lintel.review.v1.code_review_service_pb2_grpc import CodeReviewServiceServicer
from lintel.review.v1.inbox_service_pb2_grpc import InboxServiceServicer

from services.kit.postgres import inbox
from services.kit.postgres.pool import Database, Row
from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.timestamps import timestamp
from services.review.reviews import Reviews
from services.review.runs import Runs


class CodeReviewServer(CodeReviewServiceServicer):
    """lintel.review.v1.CodeReviewService."""

    def __init__(self, reviews: Reviews, runs: Runs) -> None:
        self._reviews = reviews
        self._runs = runs

    async def ListReviews(self, request: pb.ListReviewsRequest, context: RpcContext) -> pb.ListReviewsResponse:  # noqa: N802
        """List reviews, newest first."""
        rows, token = await self._reviews.page(
            principal().organization_id,
            request.page_size,
            request.page_token,
            request.repository,
            request.pull_request_number,
        )
        return pb.ListReviewsResponse(reviews=[review(row) for row in rows], next_page_token=token)

    async def GetReview(self, request: pb.GetReviewRequest, context: RpcContext) -> pb.GetReviewResponse:  # noqa: N802
        """Answer one review with its findings and its receipt."""
        who, review_id = principal().organization_id, UUID(request.id)
        row = await self._reviews.get(who, review_id)
        findings = [finding(f) for f in await self._reviews.all_findings(who, review_id)]
        return pb.GetReviewResponse(
            review=review(row), findings=findings, receipt=receipt(row) if row["receipt"] else None
        )

    async def ListFindings(self, request: pb.ListFindingsRequest, context: RpcContext) -> pb.ListFindingsResponse:  # noqa: N802
        """List the findings of a review."""
        rows, token = await self._reviews.findings_page(
            principal().organization_id, UUID(request.id), request.page_size, request.page_token
        )
        return pb.ListFindingsResponse(findings=[finding(row) for row in rows], next_page_token=token)

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: RpcContext) -> review_pb2.Receipt:  # noqa: N802
        """Answer the receipt of a review; an empty one until the change has been read."""
        return receipt(await self._reviews.get(principal().organization_id, UUID(request.id)))

    async def WatchReview(  # noqa: N802
        self, request: pb.WatchReviewRequest, context: RpcContext
    ) -> AsyncIterator[pb.WatchReviewResponse]:
        """Stream the review at each change."""
        async for row in self._reviews.watch(principal().organization_id, UUID(request.id)):
            yield pb.WatchReviewResponse(review=review(row))

    async def CancelReview(self, request: pb.CancelReviewRequest, context: RpcContext) -> pb.CancelReviewResponse:  # noqa: N802
        """End a review that has not come to its end."""
        who, review_id = principal().organization_id, UUID(request.id)
        await self._runs.cancel(who, review_id)
        return pb.CancelReviewResponse(review=review(await self._reviews.get(who, review_id)))


class InboxServer(InboxServiceServicer):
    """lintel.review.v1.InboxService."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def FindMissing(  # noqa: N802
        self, request: inbox_service_pb2.FindMissingRequest, context: RpcContext
    ) -> inbox_service_pb2.FindMissingResponse:
        """Answer which envelopes are not here."""
        missing = await inbox.find_missing(self._database, "review", [UUID(i) for i in request.envelope_ids])
        return inbox_service_pb2.FindMissingResponse(missing_ids=[str(i) for i in missing])


def review(row: Row) -> review_pb2.Review:
    """Build the API's review from its row."""
    return review_pb2.Review(
        id=str(row["id"]),
        state=review_pb2.ReviewState.Value(f"REVIEW_STATE_{row['state']}"),
        state_reason=row["state_reason"],
        repository=row["repository"],
        base_sha=row["base_sha"],
        head_sha=row["head_sha"],
        create_time=timestamp(row["create_time"]),
        finish_time=timestamp(row["finish_time"]),
        summary=row["summary"],
        host=row["host"],
        pull_request_number=row["number"],
        url=row["url"],
    )


def finding(row: Row) -> review_pb2.Finding:
    """Build the API's finding from its row."""
    suggestion = None
    if row["replacement"] is not None:
        suggestion = review_pb2.Suggestion(replacement=row["replacement"], level="applies")
    same = ("fingerprint", "path", "start_line", "end_line", "quote", "category", "confidence", "title", "body")
    return review_pb2.Finding(
        id=str(row["id"]),
        side=review_pb2.Side.Value(f"SIDE_{row['side']}"),
        severity=review_pb2.Severity.Value(f"SEVERITY_{row['severity'].upper()}"),
        suggestion=suggestion,
        source=review_pb2.FindingSource(
            kind=review_pb2.SourceKind.Value(f"SOURCE_KIND_{row['source_kind'].upper()}"),
            name=row["source_name"],
            rule_id=row["source_rule_id"] or "",
            model=row["source_model"] or "",
        ),
        state=review_pb2.FindingState.Value(f"FINDING_STATE_{row['state'].upper()}"),
        **{name: row[name] for name in same},
    )


def receipt(row: Row) -> review_pb2.Receipt:
    """Build the API's receipt from what is stored."""
    stored: dict[str, Any] = json.loads(row["receipt"] or "{}")
    for name, prefix in (("files", "FILE_FATE_"), ("analyzers", "ANALYZER_FATE_")):
        for item in stored.get(name, ()):
            item["fate"] = prefix + item["fate"].upper()
    return ParseDict(stored, review_pb2.Receipt())
