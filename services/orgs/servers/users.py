"""lintel.orgs.v1.UserService: the people of the caller's organisation, and invitations to it."""

from uuid import UUID

from google.protobuf.empty_pb2 import Empty
from lintel.orgs.v1 import role_pb2
from lintel.orgs.v1 import user_service_pb2 as pb
from lintel.orgs.v1.user_service_pb2_grpc import UserServiceServicer

from services.kit.errors import AppError, Reason
from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.orgs.domain import Role
from services.orgs.invitation_mail import InvitationMail
from services.orgs.invitations import Invitations
from services.orgs.members import Members
from services.orgs.messages import (
    invitation_to_proto,
    role_from_proto,
    role_to_proto,
    state_from_proto,
    user_to_proto,
    visible,
)
from services.orgs.organizations import Organizations


class UserServer(UserServiceServicer):
    """The caller's own profile, and for those who may, everybody's."""

    def __init__(
        self, members: Members, invitations: Invitations, organizations: Organizations, mail: InvitationMail
    ) -> None:
        self._members = members
        self._invitations = invitations
        self._organizations = organizations
        self._mail = mail

    async def GetUserInfo(self, request: pb.GetUserInfoRequest, context: RpcContext) -> pb.User:  # noqa: N802
        """Answer who the caller is."""
        who = principal()
        if who.user_id is None:  # the installation's own key: somebody with a role, and nobody's
            return pb.User(
                name="The installation's own API key",
                role=role_to_proto(Role(who.role)),
                state=role_pb2.MEMBER_STATE_ACTIVE,
                organization_id=str(who.organization_id),
            )
        return user_to_proto(await self._members.get(who.organization_id, who.user_id))

    async def ListUsers(self, request: pb.ListUsersRequest, context: RpcContext) -> pb.ListUsersResponse:  # noqa: N802
        """List the users of the organisation."""
        found, token = await self._members.page(principal().organization_id, request.page_size, request.page_token)
        return pb.ListUsersResponse(users=map(user_to_proto, found), next_page_token=token)

    async def UpdateUser(self, request: pb.UpdateUserRequest, context: RpcContext) -> pb.User:  # noqa: N802
        """Change a user; who is no owner changes their own name."""
        who = principal()
        if who.role != Role.OWNER:
            is_own = request.id == str(who.user_id)
            if not is_own or request.HasField("role") or request.HasField("state"):
                raise AppError(Reason.PERMISSION_DENIED, "You may change your own name.", role=who.role)
        member = await self._members.update(
            who.organization_id,
            UUID(request.id),
            name=visible(request.name, "name") if request.HasField("name") else None,
            role=role_from_proto(request.role),
            state=state_from_proto(request.state),
        )
        return user_to_proto(member)

    async def DeleteUser(self, request: pb.DeleteUserRequest, context: RpcContext) -> Empty:  # noqa: N802
        """Remove a user with their credentials."""
        await self._members.remove(principal().organization_id, UUID(request.id))
        return Empty()

    async def InviteUser(self, request: pb.InviteUserRequest, context: RpcContext) -> pb.InviteUserResponse:  # noqa: N802
        """Invite somebody."""
        role = role_from_proto(request.role) or Role.CONTRIBUTOR
        made = await self._invitations.invite(
            principal().organization_id, request.email, role, list(request.repository_ids)
        )
        organization = await self._organizations.get(made.invitation.organization_id)
        mailed = await self._mail.send(made.invitation, organization.name, made.token)
        return pb.InviteUserResponse(
            invitation=invitation_to_proto(made.invitation), token="" if mailed else made.token, mailed=mailed
        )

    async def ListInvitations(  # noqa: N802
        self, request: pb.ListInvitationsRequest, context: RpcContext
    ) -> pb.ListInvitationsResponse:
        """List invitations that nobody has accepted."""
        found, token = await self._invitations.page(principal().organization_id, request.page_size, request.page_token)
        return pb.ListInvitationsResponse(invitations=map(invitation_to_proto, found), next_page_token=token)

    async def DeleteInvitation(self, request: pb.DeleteInvitationRequest, context: RpcContext) -> Empty:  # noqa: N802
        """Withdraw an invitation."""
        await self._invitations.withdraw(principal().organization_id, UUID(request.id))
        return Empty()

    async def replay_invitation(self, invitation_id: str) -> pb.InviteUserResponse:
        """Answer again what an idempotency key has made; the token was shown once and is not known any more."""
        found = await self._invitations.get(principal().organization_id, UUID(invitation_id))
        return pb.InviteUserResponse(invitation=invitation_to_proto(found))
