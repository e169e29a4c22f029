"""The RPCs of orgs: protos to use cases and back."""

from lintel.orgs.v1 import directory_service_pb2 as directory_pb2
from lintel.orgs.v1 import directory_service_pb2_grpc as directory_grpc
from lintel.orgs.v1 import organization_service_pb2 as organizations_pb2
from lintel.orgs.v1 import organization_service_pb2_grpc as organizations_grpc

from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.rpc.server import Registered
from services.orgs.domain import Organization
from services.orgs.organizations import Organizations


def register_public(organizations: Organizations) -> Registered:
    """Answer the service that the edge reaches."""
    return Registered(
        organizations_grpc.add_OrganizationServiceServicer_to_server,
        _OrganizationService(organizations),
        organizations_pb2.DESCRIPTOR.services_by_name["OrganizationService"],
    )


def register_internal(organizations: Organizations) -> Registered:
    """Answer the service that other roles of the mesh reach."""
    return Registered(
        directory_grpc.add_DirectoryServiceServicer_to_server,
        _DirectoryService(organizations),  # type: ignore[abstract]  # members follow
        directory_pb2.DESCRIPTOR.services_by_name["DirectoryService"],
    )


class _OrganizationService(organizations_grpc.OrganizationServiceServicer):
    def __init__(self, organizations: Organizations) -> None:
        self._organizations = organizations

    async def GetOrganization(  # noqa: N802
        self, request: organizations_pb2.GetOrganizationRequest, context: RpcContext
    ) -> organizations_pb2.Organization:
        return _message(await self._organizations.get(principal().organization_id))


class _DirectoryService(directory_grpc.DirectoryServiceServicer):
    def __init__(self, organizations: Organizations) -> None:
        self._organizations = organizations

    async def GetDefaultOrganization(  # noqa: N802
        self, request: directory_pb2.GetDefaultOrganizationRequest, context: RpcContext
    ) -> directory_pb2.GetDefaultOrganizationResponse:
        found = await self._organizations.ensure_default()
        return directory_pb2.GetDefaultOrganizationResponse(organization_id=str(found.id))


def _message(organization: Organization) -> organizations_pb2.Organization:
    made = organizations_pb2.Organization(id=str(organization.id), name=organization.name)
    made.create_time.FromDatetime(organization.create_time)
    return made
