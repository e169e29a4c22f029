"""What auth asks of orgs: who belongs to which organisation, and in which role."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import grpc
from lintel.orgs.v1 import directory_service_pb2 as pb
from lintel.orgs.v1 import directory_service_pb2_grpc, role_pb2

from services.auth.domain import Member
from services.kit.errors import AppError, Reason
from services.kit.rpc.status import rpc_errors

SECONDS = 3.0
AnswerT = TypeVar("AnswerT")
# Refusals that the caller of auth is meant to see; anything else is a fault between us.
_PASSED_ON = frozenset(
    {Reason.EMAIL_TAKEN, Reason.REGISTRATION_CLOSED, Reason.INVITATION_INVALID, Reason.NOT_FOUND, Reason.LAST_OWNER}
)


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an invitation is for."""

    organization_id: UUID
    email: str
    role: str


class Directory:
    """Orgs' DirectoryService. Raises AppError(UNAVAILABLE) while orgs does not answer."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = directory_service_pb2_grpc.DirectoryServiceStub(channel)

    async def default_organization(self) -> UUID:
        """Answer the default organisation."""
        request = pb.GetDefaultOrganizationRequest()
        found = await _asked(lambda: self._stub.GetDefaultOrganization(request, timeout=SECONDS))
        return UUID(found.organization_id)

    async def create_owner(
        self, user_id: UUID, email: str, name: str, organization_name: str, *, is_open: bool
    ) -> UUID:
        """Make a user the owner of an organisation and answer it. Raises REGISTRATION_CLOSED or EMAIL_TAKEN."""
        request = pb.CreateOrganizationWithOwnerRequest(
            user_id=str(user_id), email=email, name=name, organization_name=organization_name, is_open=is_open
        )
        made = await _asked(lambda: self._stub.CreateOrganizationWithOwner(request, timeout=SECONDS))
        return UUID(made.organization_id)

    async def member(self, user_id: UUID) -> Member | None:
        """Answer where a user belongs, None if they are no member (any more)."""
        request = pb.ResolveMemberRequest(user_id=str(user_id))
        try:
            found = await _asked(lambda: self._stub.ResolveMember(request, timeout=SECONDS))
        except AppError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise
        assigned = tuple(found.assigned_repository_ids)
        return Member(UUID(found.organization_id), _word(found.role), found.is_active, assigned)

    async def invitation(self, token_sha256: bytes) -> Invitation:
        """Answer what an invitation is for. Raises INVITATION_INVALID."""
        request = pb.GetInvitationRequest(token_sha256=token_sha256)
        found = await _asked(lambda: self._stub.GetInvitation(request, timeout=SECONDS))
        return Invitation(UUID(found.organization_id), found.email, _word(found.role))

    async def accept_invitation(self, token_sha256: bytes, user_id: UUID, name: str) -> Invitation:
        """Make the holder a member. Raises INVITATION_INVALID or EMAIL_TAKEN."""
        request = pb.AcceptInvitationRequest(token_sha256=token_sha256, user_id=str(user_id), name=name)
        made = await _asked(lambda: self._stub.AcceptInvitation(request, timeout=SECONDS))
        return Invitation(UUID(made.organization_id), made.email, _word(made.role))

    async def join_by_sso(
        self, organization_id: UUID, user_id: UUID, email: str, name: str, role: str | None
    ) -> Member:
        """Make a user a member or bring them up to date; no role means: leave it. Raises EMAIL_TAKEN."""
        request = pb.JoinBySsoRequest(
            organization_id=str(organization_id), user_id=str(user_id), email=email, name=name, role=_number(role)
        )
        made = await _asked(lambda: self._stub.JoinBySso(request, timeout=SECONDS))
        return Member(organization_id, _word(made.role), made.is_active)


def _word(role: role_pb2.Role.ValueType) -> str:
    return role_pb2.Role.Name(role).removeprefix("ROLE_").lower()


def _number(role: str | None) -> role_pb2.Role.ValueType:
    return role_pb2.Role.Value(f"ROLE_{role.upper()}") if role else role_pb2.ROLE_UNSPECIFIED


async def _asked(call: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
    try:
        with rpc_errors():
            return await call()
    except AppError as error:
        if error.reason in _PASSED_ON:
            raise
        raise AppError(Reason.UNAVAILABLE, retry_after=timedelta(seconds=1)) from error
