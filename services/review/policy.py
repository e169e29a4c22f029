"""Who may call which RPC of the review service."""

from datetime import timedelta

from services.kit.rpc.policy import REVIEWERS, Policy, internal, read, write

UPLOAD_DEADLINE = timedelta(minutes=5)
_INBOX = "/lintel.review.v1.InboxService/"
_LOCAL = "/lintel.review.v1.LocalReviewService/"
_SERVICE = "/lintel.review.v1.CodeReviewService/"

PUBLIC: Policy = {
    _SERVICE + "ListReviews": read(REVIEWERS),
    _SERVICE + "GetReview": read(REVIEWERS),
    _SERVICE + "ListFindings": read(REVIEWERS),
    _SERVICE + "GetReceipt": read(REVIEWERS),
    _SERVICE + "WatchReview": read(REVIEWERS, deadline=timedelta(minutes=30)),
    _SERVICE + "CancelReview": write(REVIEWERS - {"contributor"}),  # a second time it is over
    _LOCAL + "CreateLocalReview": write(REVIEWERS, deadline=timedelta(seconds=30)),
    _LOCAL + "UploadSource": write(REVIEWERS, deadline=UPLOAD_DEADLINE),
}
INTERNAL: Policy = {
    _INBOX + "FindMissing": internal("webhooks_worker", is_idempotent=True),
    _INBOX + "ListDeadEnvelopes": internal("webhooks", is_idempotent=True),
    _INBOX + "ReplayDeadEnvelope": internal("webhooks", is_idempotent=True),
}
