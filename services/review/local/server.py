"""The RPCs of local reviews: proto to use case and back."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from lintel.review.v1 import local_review_service_pb2 as pb
from lintel.review.v1.local_review_service_pb2_grpc import LocalReviewServiceServicer

from services.kit.errors import AppError, Reason, Violation
from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.rpc.middlewares import check_request
from services.review.local.options import Options
from services.review.local.pieces import Part, Piece
from services.review.local.reviews import LocalReviews
from services.review.messages import review
from services.review.policy import UPLOAD_DEADLINE
from services.review.reviews import Reviews
from services.review.viewer import Viewer

CREATE_LOCAL_REVIEW = "/lintel.review.v1.LocalReviewService/CreateLocalReview"


class LocalReviewServer(LocalReviewServiceServicer):
    """lintel.review.v1.LocalReviewService."""

    def __init__(self, uploads: LocalReviews, reviews: Reviews) -> None:
        self._uploads = uploads
        self._reviews = reviews

    async def replay(self, review_id: str) -> pb.CreateLocalReviewResponse:
        """Answer again what beginning this review answered. Raises AppError NOT_FOUND."""
        row = await self._reviews.get(Viewer.of(principal()), UUID(review_id))
        return pb.CreateLocalReviewResponse(review=review(row))

    async def CreateLocalReview(  # noqa: N802
        self, request: pb.CreateLocalReviewRequest, context: RpcContext
    ) -> pb.CreateLocalReviewResponse:
        """Review a change given whole."""
        row = await self._uploads.create(principal(), _options(request.options), _given(request))
        return pb.CreateLocalReviewResponse(review=review(row))

    async def UploadSource(  # noqa: N802
        self, requests: AsyncIterator[pb.UploadSourceRequest], context: RpcContext
    ) -> pb.UploadSourceResponse:
        """Review a change sent in pieces."""
        who = principal()
        try:
            async with asyncio.timeout(UPLOAD_DEADLINE.total_seconds()):  # whatever the caller's own deadline is
                first = await anext(aiter(requests), None)
                if first is None or first.WhichOneof("piece") != "options":
                    raise AppError(Reason.INVALID_REQUEST, "The first piece must be the options.")
                check_request(first)
                row = await self._uploads.create(who, _options(first.options), _pieces(requests))
        except TimeoutError:
            raise AppError(Reason.DEADLINE_EXCEEDED, "The upload took too long.") from None
        return pb.UploadSourceResponse(review=review(row))


def _options(given: pb.LocalReviewOptions) -> Options:
    for name in ("repository", "base_sha", "head_sha"):
        if not getattr(given, name).isprintable():
            description = "must be printable, in one line"
            raise AppError(Reason.INVALID_REQUEST, violations=[Violation(f"options.{name}", description)])
    return Options(given.repository, given.base_sha, given.head_sha, given.no_model, given.dry_run)


async def _given(request: pb.CreateLocalReviewRequest) -> AsyncIterator[Piece]:
    yield Piece(Part.DIFF, request.diff.encode())
    for file in request.files:
        path = file.path.encode()
        if file.HasField("head"):
            yield Piece(Part.FILE, file.head.encode(), path)
        if file.HasField("base"):
            yield Piece(Part.FILE, file.base.encode(), path, is_base=True)
    if request.sarif:
        yield Piece(Part.SARIF, request.sarif.encode())


async def _pieces(requests: AsyncIterator[pb.UploadSourceRequest]) -> AsyncIterator[Piece]:
    async for request in requests:
        check_request(request)
        match request.WhichOneof("piece"):
            case "diff":
                yield Piece(Part.DIFF, request.diff)
            case "file":
                yield Piece(Part.FILE, request.file.data, request.file.path, request.file.base)
            case "sarif":
                yield Piece(Part.SARIF, request.sarif)
            case "options":
                raise AppError(Reason.INVALID_REQUEST, "The options must be sent once, first.")
            case _:
                raise AppError(Reason.INVALID_REQUEST, "A piece is empty.")
