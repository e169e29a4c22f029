"""lintel.orgs.v1.DirectoryService: what other services ask about organisations and members."""

from uuid import UUID

from google.protobuf import json_format
from lintel.orgs.v1 import directory_service_pb2 as pb
from lintel.orgs.v1.directory_service_pb2_grpc import DirectoryServiceServicer

from services.kit.rpc.chain import RpcContext
from services.kit.timestamps import timestamp
from services.orgs.domain import MemberState
from services.orgs.invitations import Invitations
from services.orgs.members import Members
from services.orgs.messages import role_from_proto, role_to_proto
from services.orgs.organizations import Organizations
from services.orgs.parameters import Parameters


class DirectoryServer(DirectoryServiceServicer):
    """Internal: asked by auth, and by whoever needs a parameter."""

    def __init__(
        self, organizations: Organizations, members: Members, invitations: Invitations, parameters: Parameters
    ) -> None:
        self._organizations = organizations
        self._members = members
        self._invitations = invitations
        self._parameters = parameters

    async def GetDefaultOrganization(  # noqa: N802
        self, request: pb.GetDefaultOrganizationRequest, context: RpcContext
    ) -> pb.GetDefaultOrganizationResponse:
        """Answer the organisation of the environment."""
        found = await self._organizations.ensure_default()
        return pb.GetDefaultOrganizationResponse(organization_id=str(found.id))

    async def CreateOrganizationWithOwner(  # noqa: N802
        self, request: pb.CreateOrganizationWithOwnerRequest, context: RpcContext
    ) -> pb.CreateOrganizationWithOwnerResponse:
        """Make a user an owner."""
        made = await self._organizations.create_with_owner(
            UUID(request.user_id), request.email, request.name, request.organization_name, is_open=request.is_open
        )
        return pb.CreateOrganizationWithOwnerResponse(organization_id=str(made))

    async def ResolveMember(  # noqa: N802
        self, request: pb.ResolveMemberRequest, context: RpcContext
    ) -> pb.ResolveMemberResponse:
        """Answer a user's organisation, role and state of this moment."""
        found = await self._members.resolve(UUID(request.user_id))
        return pb.ResolveMemberResponse(
            organization_id=str(found.member.organization_id),
            role=role_to_proto(found.member.role),
            is_active=found.member.state is MemberState.ACTIVE,
            assigned_repository_ids=found.repository_ids,
            email=found.member.email,
            name=found.member.name,
        )

    async def GetInvitation(  # noqa: N802
        self, request: pb.GetInvitationRequest, context: RpcContext
    ) -> pb.GetInvitationResponse:
        """Answer what an invitation is for."""
        found = await self._invitations.find(request.token_sha256)
        organization = await self._organizations.get(found.organization_id)
        return pb.GetInvitationResponse(
            organization_id=str(organization.id),
            organization_name=organization.name,
            email=found.email,
            role=role_to_proto(found.role),
            expire_time=timestamp(found.expire_time),
        )

    async def AcceptInvitation(  # noqa: N802
        self, request: pb.AcceptInvitationRequest, context: RpcContext
    ) -> pb.AcceptInvitationResponse:
        """Make the holder of an invitation a member."""
        member = await self._invitations.accept(request.token_sha256, UUID(request.user_id), request.name)
        return pb.AcceptInvitationResponse(
            organization_id=str(member.organization_id), email=member.email, role=role_to_proto(member.role)
        )

    async def JoinBySso(self, request: pb.JoinBySsoRequest, context: RpcContext) -> pb.JoinBySsoResponse:  # noqa: N802
        """Make a user whom an identity provider vouches for a member."""
        member = await self._members.join_by_sso(
            UUID(request.organization_id),
            UUID(request.user_id),
            request.email,
            request.name,
            role_from_proto(request.role),
        )
        return pb.JoinBySsoResponse(role=role_to_proto(member.role), is_active=member.state is MemberState.ACTIVE)

    async def GetParameter(self, request: pb.GetParameterRequest, context: RpcContext) -> pb.GetParameterResponse:  # noqa: N802
        """Answer a parameter as it is stored."""
        found = await self._parameters.find(UUID(request.organization_id), request.key)
        made = pb.GetParameterResponse(is_set=found is not None, etag=found.etag if found else "")
        if found:
            json_format.ParseDict(found.value, made.config_value)
        return made
