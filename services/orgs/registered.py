"""The proto services of orgs with what serves them."""

from lintel.orgs.v1 import analytics_service_pb2 as analytics_pb
from lintel.orgs.v1 import analytics_service_pb2_grpc as analytics_grpc
from lintel.orgs.v1 import audit_log_service_pb2 as audit_pb
from lintel.orgs.v1 import audit_log_service_pb2_grpc as audit_grpc
from lintel.orgs.v1 import directory_service_pb2 as directory_pb
from lintel.orgs.v1 import directory_service_pb2_grpc as directory_grpc
from lintel.orgs.v1 import organization_service_pb2 as organizations_pb
from lintel.orgs.v1 import organization_service_pb2_grpc as organizations_grpc
from lintel.orgs.v1 import parameter_service_pb2 as parameters_pb
from lintel.orgs.v1 import parameter_service_pb2_grpc as parameters_grpc
from lintel.orgs.v1 import permission_service_pb2 as permissions_pb
from lintel.orgs.v1 import permission_service_pb2_grpc as permissions_grpc
from lintel.orgs.v1 import user_service_pb2 as users_pb
from lintel.orgs.v1 import user_service_pb2_grpc as users_grpc

from services.kit.rpc.server import Registered


def public(
    organizations: organizations_grpc.OrganizationServiceServicer,
    users: users_grpc.UserServiceServicer,
    parameters: parameters_grpc.ParameterServiceServicer,
    permissions: permissions_grpc.PermissionServiceServicer,
    audit_log: audit_grpc.AuditLogServiceServicer,
    analytics: analytics_grpc.AnalyticsServiceServicer,
) -> list[Registered]:
    """Answer the services that the edge reaches."""
    return [
        Registered(
            organizations_grpc.add_OrganizationServiceServicer_to_server,
            organizations,
            organizations_pb.DESCRIPTOR.services_by_name["OrganizationService"],
        ),
        Registered(
            users_grpc.add_UserServiceServicer_to_server,
            users,
            users_pb.DESCRIPTOR.services_by_name["UserService"],
        ),
        Registered(
            parameters_grpc.add_ParameterServiceServicer_to_server,
            parameters,
            parameters_pb.DESCRIPTOR.services_by_name["ParameterService"],
        ),
        Registered(
            permissions_grpc.add_PermissionServiceServicer_to_server,
            permissions,
            permissions_pb.DESCRIPTOR.services_by_name["PermissionService"],
        ),
        Registered(
            audit_grpc.add_AuditLogServiceServicer_to_server,
            audit_log,
            audit_pb.DESCRIPTOR.services_by_name["AuditLogService"],
        ),
        Registered(
            analytics_grpc.add_AnalyticsServiceServicer_to_server,
            analytics,
            analytics_pb.DESCRIPTOR.services_by_name["AnalyticsService"],
        ),
    ]


def internal(directory: directory_grpc.DirectoryServiceServicer) -> list[Registered]:
    """Answer the service that the mesh reaches."""
    return [
        Registered(
            directory_grpc.add_DirectoryServiceServicer_to_server,
            directory,
            directory_pb.DESCRIPTOR.services_by_name["DirectoryService"],
        )
    ]
