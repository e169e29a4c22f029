"""The one error that may cross an RPC: a reason of the catalogue, words for people, and facts for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Reason(StrEnum):
    """The catalogue of protos/lintel/common/v1/errors.proto, without its prefix; a test holds the two together."""

    INTERNAL = "INTERNAL"
    INVALID_REQUEST = "INVALID_REQUEST"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    OVERLOADED = "OVERLOADED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNAVAILABLE = "UNAVAILABLE"
    WRONG_STATE = "WRONG_STATE"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"  # noqa: S105 - a reason, not a secret
    FENCED = "FENCED"
    HOST_REFUSED = "HOST_REFUSED"
    HOST_UNAVAILABLE = "HOST_UNAVAILABLE"
    HOST_RATE_LIMITED = "HOST_RATE_LIMITED"
    HOST_NOT_CONFIGURED = "HOST_NOT_CONFIGURED"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    BODY_TOO_SLOW = "BODY_TOO_SLOW"
    MODEL_NOT_CONFIGURED = "MODEL_NOT_CONFIGURED"
    MODEL_REFUSED = "MODEL_REFUSED"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    MODEL_RATE_LIMITED = "MODEL_RATE_LIMITED"
    SOURCE_INVALID = "SOURCE_INVALID"
    BUDGET_SPENT = "BUDGET_SPENT"
    REGISTRATION_CLOSED = "REGISTRATION_CLOSED"
    EMAIL_TAKEN = "EMAIL_TAKEN"
    INVITATION_INVALID = "INVITATION_INVALID"
    LAST_OWNER = "LAST_OWNER"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    NAME_TAKEN = "NAME_TAKEN"
    LOGIN_FAILED = "LOGIN_FAILED"
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"
    LINK_INVALID = "LINK_INVALID"
    SSO_NOT_CONFIGURED = "SSO_NOT_CONFIGURED"
    SSO_REFUSED = "SSO_REFUSED"
    SSO_UNAVAILABLE = "SSO_UNAVAILABLE"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    IDEMPOTENCY_KEY_BUSY = "IDEMPOTENCY_KEY_BUSY"


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that breaks a rule: its path in proto names, and what is wrong with it."""

    field: str
    description: str
    rule: str = ""


class AppError(Exception):
    """An expected failure; `message` is shown to the caller and never holds a secret or an inner detail."""

    def __init__(
        self,
        reason: Reason,
        message: str = "",
        *,
        violations: Sequence[Violation] = (),
        retry_after: timedelta | None = None,
        **metadata: str,
    ) -> None:
        super().__init__(f"{reason}: {message}" if message else str(reason))
        self.reason = reason
        self.message = message
        self.violations = tuple(violations)
        self.retry_after = retry_after
        self.metadata = metadata
