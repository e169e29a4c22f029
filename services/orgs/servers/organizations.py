"""lintel.orgs.v1.OrganizationService: the caller's organisation."""

from lintel.orgs.v1 import organization_service_pb2 as pb
from lintel.orgs.v1.organization_service_pb2_grpc import OrganizationServiceServicer

from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.orgs.organizations import Organizations
from services.orgs.servers.messages import organization_to_proto


class OrganizationServer(OrganizationServiceServicer):
    """The organisation everything of the caller belongs to."""

    def __init__(self, organizations: Organizations) -> None:
        self._organizations = organizations

    async def GetOrganization(self, request: pb.GetOrganizationRequest, context: RpcContext) -> pb.Organization:  # noqa: N802
        """Answer the caller's organisation."""
        return organization_to_proto(await self._organizations.get(principal().organization_id))
