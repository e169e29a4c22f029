"""lintel.orgs.v1.OrganizationService: the caller's organisation and its teams."""

from uuid import UUID

from google.protobuf.empty_pb2 import Empty
from lintel.orgs.v1 import organization_service_pb2 as pb
from lintel.orgs.v1.organization_service_pb2_grpc import OrganizationServiceServicer

from services.kit.postgres.pool import Row
from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.timestamps import timestamp
from services.orgs.messages import organization_to_proto, team_to_proto, visible
from services.orgs.organizations import Organizations
from services.orgs.teams import Teams


class OrganizationServer(OrganizationServiceServicer):
    """The organisation everything of the caller belongs to."""

    def __init__(self, organizations: Organizations, teams: Teams) -> None:
        self._organizations = organizations
        self._teams = teams

    async def GetOrganization(self, request: pb.GetOrganizationRequest, context: RpcContext) -> pb.Organization:  # noqa: N802
        """Answer the caller's organisation."""
        return organization_to_proto(await self._organizations.get(principal().organization_id))

    async def UpdateOrganization(self, request: pb.UpdateOrganizationRequest, context: RpcContext) -> pb.Organization:  # noqa: N802
        """Change the caller's organisation."""
        organization_id = principal().organization_id
        if not request.HasField("name"):
            return organization_to_proto(await self._organizations.get(organization_id))
        return organization_to_proto(await self._organizations.rename(organization_id, visible(request.name, "name")))

    async def ListTeams(self, request: pb.ListTeamsRequest, context: RpcContext) -> pb.ListTeamsResponse:  # noqa: N802
        """List the teams by name."""
        found, token = await self._teams.page(principal().organization_id, request.page_size, request.page_token)
        return pb.ListTeamsResponse(teams=map(team_to_proto, found), next_page_token=token)

    async def CreateTeam(self, request: pb.CreateTeamRequest, context: RpcContext) -> pb.Team:  # noqa: N802
        """Make a team."""
        return team_to_proto(await self._teams.create(principal().organization_id, visible(request.name, "name")))

    async def GetTeam(self, request: pb.GetTeamRequest, context: RpcContext) -> pb.Team:  # noqa: N802
        """Answer a team."""
        return await self.replay_team(request.id)

    async def UpdateTeam(self, request: pb.UpdateTeamRequest, context: RpcContext) -> pb.Team:  # noqa: N802
        """Give a team another name."""
        name = visible(request.name, "name") if request.HasField("name") else None
        return team_to_proto(await self._teams.rename(principal().organization_id, UUID(request.id), name))

    async def DeleteTeam(self, request: pb.DeleteTeamRequest, context: RpcContext) -> Empty:  # noqa: N802
        """End a team."""
        await self._teams.delete(principal().organization_id, UUID(request.id))
        return Empty()

    async def ListTeamMembers(  # noqa: N802
        self, request: pb.ListTeamMembersRequest, context: RpcContext
    ) -> pb.ListTeamMembersResponse:
        """List the members of a team."""
        found, token = await self._teams.members(
            principal().organization_id, UUID(request.id), request.page_size, request.page_token
        )
        return pb.ListTeamMembersResponse(members=map(_member, found), next_page_token=token)

    async def AddTeamMember(self, request: pb.AddTeamMemberRequest, context: RpcContext) -> pb.TeamMember:  # noqa: N802
        """Take a user into a team."""
        return _member(await self._teams.add(principal().organization_id, UUID(request.id), UUID(request.user_id)))

    async def RemoveTeamMember(self, request: pb.RemoveTeamMemberRequest, context: RpcContext) -> Empty:  # noqa: N802
        """Take a user out of a team."""
        await self._teams.remove(principal().organization_id, UUID(request.id), UUID(request.user_id))
        return Empty()

    async def replay_team(self, team_id: str) -> pb.Team:
        """Answer a team, also as what an idempotency key has made."""
        return team_to_proto(await self._teams.get(principal().organization_id, UUID(team_id)))


def _member(row: Row) -> pb.TeamMember:
    return pb.TeamMember(
        user_id=str(row["user_id"]), email=row["email"], name=row["name"], create_time=timestamp(row["create_time"])
    )
