"""Reviews as a program asks for them: upload a change, wait for its end, read what was found."""

from collections.abc import Iterable, Iterator

from lintel.review.v1 import code_review_service_pb2 as reviews_pb
from lintel.review.v1 import local_review_service_pb2 as local_pb
from lintel.review.v1.review_pb2 import Review

from client.connection import Connection

UPLOAD_SECONDS = 300.0  # 64 MiB over a slow line
WATCH_SECONDS = 1800.0  # a local model reads a large change for a long time
CANCEL_SECONDS = 2.0
_REVIEWS = "lintel.review.v1.CodeReviewService."


class ReviewClient(Connection):
    """A connection with the calls of a review. Each raises RefusedError and UnavailableError."""

    def upload(self, pieces: Iterable[local_pb.UploadSourceRequest]) -> Review:
        """Send a change and answer its review, which waits."""
        method = "lintel.review.v1.LocalReviewService.UploadSource"
        return self.send(method, iter(pieces), local_pb.UploadSourceResponse, UPLOAD_SECONDS).review

    def watch(self, review_id: str) -> Iterator[Review]:
        """Yield the review at each change until it has come to its end."""
        request = reviews_pb.WatchReviewRequest(id=review_id)
        for seen in self.stream(_REVIEWS + "WatchReview", request, reviews_pb.WatchReviewResponse, WATCH_SECONDS):
            yield seen.review

    def get(self, review_id: str) -> reviews_pb.GetReviewResponse:
        """Answer a review with findings and receipt."""
        request = reviews_pb.GetReviewRequest(id=review_id)
        return self.call(_REVIEWS + "GetReview", request, reviews_pb.GetReviewResponse)

    def cancel(self, review_id: str) -> None:
        """Ask that a review ends."""
        request = reviews_pb.CancelReviewRequest(id=review_id)
        self.call(_REVIEWS + "CancelReview", request, reviews_pb.CancelReviewResponse, CANCEL_SECONDS)
