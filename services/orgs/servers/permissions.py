"""lintel.orgs.v1.PermissionService: what the caller may do, and who is assigned to which repositories."""

from uuid import UUID

from lintel.orgs.v1 import permission_service_pb2 as pb
from lintel.orgs.v1.permission_service_pb2_grpc import PermissionServiceServicer

from services.kit.errors import AppError, Reason, Violation
from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.orgs.domain import Action, Permission, Resource, Role
from services.orgs.messages import role_to_proto
from services.orgs.permissions import Assignments, allows, permissions_of


class PermissionServer(PermissionServiceServicer):
    """Everybody may ask about themselves; about others those who may read users."""

    def __init__(self, assignments: Assignments) -> None:
        self._assignments = assignments

    async def ListPermissions(  # noqa: N802
        self, request: pb.ListPermissionsRequest, context: RpcContext
    ) -> pb.ListPermissionsResponse:
        """Answer everything the caller may do."""
        who, role = principal(), Role(principal().role)
        return pb.ListPermissionsResponse(
            role=role_to_proto(role),
            permissions=map(_message, permissions_of(role)),
            assigned_repository_ids=sorted(who.assigned_repositories),
        )

    async def CanAccess(self, request: pb.CanAccessRequest, context: RpcContext) -> pb.CanAccessResponse:  # noqa: N802
        """Tell whether the caller may do something."""
        action = Action(pb.Action.Name(request.action).removeprefix("ACTION_").lower())
        resource = Resource(pb.Resource.Name(request.resource).removeprefix("RESOURCE_").lower())
        return pb.CanAccessResponse(allowed=allows(Role(principal().role), action, resource))

    async def GetAssignedRepositories(  # noqa: N802
        self, request: pb.GetAssignedRepositoriesRequest, context: RpcContext
    ) -> pb.AssignedRepositories:
        """Answer the repositories of a user."""
        who = principal()
        if not request.user_id and who.user_id is None:
            return pb.AssignedRepositories()  # the installation's own key is assigned to none
        user_id = _uuid(request.user_id) if request.user_id else who.user_id
        assert user_id is not None, "one of the two is given"
        if user_id != who.user_id and not allows(Role(who.role), Action.READ, Resource.REPOSITORY_ASSIGNMENTS):
            raise AppError(Reason.PERMISSION_DENIED, "You may see your own repositories.", role=who.role)
        found = await self._assignments.of(who.organization_id, user_id)
        return pb.AssignedRepositories(user_id=str(user_id), repository_ids=found)

    async def AssignRepositories(  # noqa: N802
        self, request: pb.AssignRepositoriesRequest, context: RpcContext
    ) -> pb.AssignedRepositories:
        """Assign a user to exactly these repositories."""
        user_id = UUID(request.user_id)
        assigned = await self._assignments.assign(principal().organization_id, user_id, request.repository_ids)
        return pb.AssignedRepositories(user_id=str(user_id), repository_ids=assigned)


def _message(permission: Permission) -> pb.Permission:
    return pb.Permission(
        resource=pb.Resource.Value(f"RESOURCE_{permission.resource.name}"),
        actions=[pb.Action.Value(f"ACTION_{action.name}") for action in permission.actions],
        is_limited_to_assigned_repositories=permission.is_limited,
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        violation = Violation("user_id", "must be a valid UUID")
        raise AppError(Reason.INVALID_REQUEST, violations=[violation]) from None
