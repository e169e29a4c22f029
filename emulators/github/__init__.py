"""A strict stand-in for api.github.com; `emulators/README.md` describes its use."""

from emulators.github.emulator import GitHubEmulator
from emulators.github.failures import Failure
from emulators.github.git import GitError
from emulators.github.model import Limits, PullRequest, Review, ReviewComment, User
from emulators.github.record import EmulatorDefectError, RequestRecord, Violation
from emulators.github.webhooks import Delivered, Delivery, deliver, make_delivery, sign_webhook

__all__ = [
    "Delivered",
    "Delivery",
    "EmulatorDefectError",
    "Failure",
    "GitError",
    "GitHubEmulator",
    "Limits",
    "PullRequest",
    "RequestRecord",
    "Review",
    "ReviewComment",
    "User",
    "Violation",
    "deliver",
    "make_delivery",
    "sign_webhook",
]
