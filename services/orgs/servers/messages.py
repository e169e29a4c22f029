"""The words of orgs as protos, and back."""

from lintel.orgs.v1 import organization_service_pb2, role_pb2

from services.kit.timestamps import timestamp
from services.orgs.domain import MemberState, Organization, Role

_ROLES = {
    Role.OWNER: role_pb2.ROLE_OWNER,
    Role.BILLING_MANAGER: role_pb2.ROLE_BILLING_MANAGER,
    Role.REPO_ADMIN: role_pb2.ROLE_REPO_ADMIN,
    Role.CONTRIBUTOR: role_pb2.ROLE_CONTRIBUTOR,
}
_STATES = {MemberState.ACTIVE: role_pb2.MEMBER_STATE_ACTIVE, MemberState.DISABLED: role_pb2.MEMBER_STATE_DISABLED}


def role_to_proto(role: Role) -> role_pb2.Role.ValueType:
    """Build a role."""
    return _ROLES[role]


def role_from_proto(role: role_pb2.Role.ValueType) -> Role | None:
    """Read a role; None where it is not specified."""
    return next((ours for ours, theirs in _ROLES.items() if theirs == role), None)


def state_to_proto(state: MemberState) -> role_pb2.MemberState.ValueType:
    """Build the state of a member who was not removed."""
    return _STATES[state]


def state_from_proto(state: role_pb2.MemberState.ValueType) -> MemberState | None:
    """Read a state; None where it is not specified."""
    return next((ours for ours, theirs in _STATES.items() if theirs == state), None)


def organization_to_proto(organization: Organization) -> organization_service_pb2.Organization:
    """Build an organisation."""
    return organization_service_pb2.Organization(
        id=str(organization.id), name=organization.name, create_time=timestamp(organization.create_time)
    )
