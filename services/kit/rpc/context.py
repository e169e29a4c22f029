"""Who is calling, in which request, and until when: set by the middlewares, read anywhere below them."""

from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from services.kit.errors import AppError, Reason


@dataclass(frozen=True, slots=True)
class Principal:
    """On whose behalf a public call is made. `user_id` is None for the key of the installation itself."""

    organization_id: UUID
    user_id: UUID | None
    role: str  # owner, billing_manager, repo_admin or contributor
    credential_id: str
    scopes: frozenset[str] = frozenset({"all"})
    session_id: UUID | None = None  # of an access token; None for an API key
    assigned_repositories: frozenset[str] = frozenset()  # ids; they limit the roles that the contract says so of


_principal: ContextVar[Principal | None] = ContextVar("principal", default=None)
request_id: ContextVar[str] = ContextVar("request_id", default="")
# Where an outside caller is, as the edge saw it: an IP address, "" where nobody knows. For throttling and audit log.
client_address: ContextVar[str] = ContextVar("client_address", default="")
deadline: ContextVar[float | None] = ContextVar("deadline", default=None)  # of the event loop's clock, in seconds


def set_principal(principal: Principal | None) -> None:
    """Say on whose behalf the rest of this call runs."""
    _principal.set(principal)


def principal() -> Principal:
    """Answer on whose behalf this call runs; raises AppError(UNAUTHENTICATED) if nobody is known."""
    found = _principal.get()
    if found is None:
        raise AppError(Reason.UNAUTHENTICATED, "Send an API key or an access token as `Authorization: Bearer …`.")
    return found
