"""The public API: which proto services the edge offers, and which role answers each. Nothing else is reachable."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from lintel.auth.v1 import api_key_service_pb2, auth_service_pb2, sso_service_pb2
from lintel.llm.v1 import model_service_pb2, usage_service_pb2
from lintel.orgs.v1 import (
    analytics_service_pb2,
    audit_log_service_pb2,
    organization_service_pb2,
    parameter_service_pb2,
    permission_service_pb2,
    user_service_pb2,
)
from lintel.review.v1 import code_review_service_pb2, local_review_service_pb2
from lintel.webhooks.v1 import delivery_service_pb2

import services

ROLES = ("auth", "orgs", "llm_gateway", "webhooks", "review")
_DESCRIPTORS = Path(services.__file__).resolve().parents[1] / "protos" / "gen" / "descriptors.binpb"


@dataclass(frozen=True, slots=True)
class PublicService:
    """A proto service that the outside may call, and the role that serves it."""

    descriptor: ServiceDescriptor
    role: str

    @property
    def name(self) -> str:
        """The full proto name."""
        return str(self.descriptor.full_name)


def _service(file: object, name: str, role: str) -> PublicService:
    return PublicService(file.DESCRIPTOR.services_by_name[name], role)  # type: ignore[attr-defined]


PUBLIC_SERVICES = (
    _service(auth_service_pb2, "AuthService", "auth"),
    _service(sso_service_pb2, "SsoService", "auth"),
    _service(api_key_service_pb2, "ApiKeyService", "auth"),
    _service(organization_service_pb2, "OrganizationService", "orgs"),
    _service(user_service_pb2, "UserService", "orgs"),
    _service(parameter_service_pb2, "ParameterService", "orgs"),
    _service(permission_service_pb2, "PermissionService", "orgs"),
    _service(audit_log_service_pb2, "AuditLogService", "orgs"),
    _service(analytics_service_pb2, "AnalyticsService", "orgs"),
    _service(model_service_pb2, "ModelService", "llm_gateway"),
    _service(usage_service_pb2, "UsageService", "llm_gateway"),
    _service(delivery_service_pb2, "DeliveryService", "webhooks"),
    _service(code_review_service_pb2, "CodeReviewService", "review"),
    _service(local_review_service_pb2, "LocalReviewService", "review"),
)


def method_path(method: MethodDescriptor) -> str:
    """Answer the path of an RPC on the wire."""
    return f"/{method.containing_service.full_name}/{method.name}"


def public_methods() -> dict[str, str]:
    """Answer the role behind each public RPC, by its path on the wire."""
    return {method_path(m): s.role for s in PUBLIC_SERVICES for m in s.descriptor.methods}


@cache
def described_files() -> FileDescriptorSet:
    """Answer the committed descriptor set, comments included."""
    return FileDescriptorSet.FromString(_DESCRIPTORS.read_bytes())


def public_pool(*extra: FileDescriptor) -> descriptor_pool.DescriptorPool:
    """Answer a pool with the files of the public services, those in `extra`, and what they import; nothing internal."""
    pool, added = descriptor_pool.DescriptorPool(), set[str]()

    def add(file: FileDescriptor) -> None:
        if file.name not in added:
            added.add(file.name)
            for dependency in file.dependencies:
                add(dependency)
            pool.AddSerializedFile(file.serialized_pb)

    for file in (*(service.descriptor.file for service in PUBLIC_SERVICES), *extra):
        add(file)
    return pool
