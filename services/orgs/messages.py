"""The words of orgs as protos, and back."""

from lintel.orgs.v1 import organization_service_pb2, role_pb2, user_service_pb2

from services.kit.errors import AppError, Reason, Violation
from services.kit.timestamps import timestamp
from services.orgs.domain import Invitation, Member, MemberState, Organization, Role, Team

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


def state_from_proto(state: role_pb2.MemberState.ValueType) -> MemberState | None:
    """Read a state; None where it is not specified."""
    return next((ours for ours, theirs in _STATES.items() if theirs == state), None)


def organization_to_proto(organization: Organization) -> organization_service_pb2.Organization:
    """Build an organisation."""
    return organization_service_pb2.Organization(
        id=str(organization.id), name=organization.name, create_time=timestamp(organization.create_time)
    )


def team_to_proto(team: Team) -> organization_service_pb2.Team:
    """Build a team."""
    return organization_service_pb2.Team(
        id=str(team.id),
        name=team.name,
        create_time=timestamp(team.create_time),
        update_time=timestamp(team.update_time),
    )


def user_to_proto(member: Member) -> user_service_pb2.User:
    """Build a user who was not removed."""
    return user_service_pb2.User(
        id=str(member.user_id),
        email=member.email,
        name=member.name,
        role=role_to_proto(member.role),
        state=_STATES[member.state],
        organization_id=str(member.organization_id),
        create_time=timestamp(member.create_time),
        update_time=timestamp(member.update_time),
    )


def invitation_to_proto(invitation: Invitation) -> user_service_pb2.Invitation:
    """Build an invitation."""
    return user_service_pb2.Invitation(
        id=str(invitation.id),
        email=invitation.email,
        role=role_to_proto(invitation.role),
        repository_ids=invitation.repository_ids,
        create_time=timestamp(invitation.create_time),
        expire_time=timestamp(invitation.expire_time),
    )


def visible(text: str, field: str) -> str:
    """Answer a name without the blanks around it. Raises AppError(INVALID_REQUEST) if nobody could read it."""
    stripped = text.strip()
    if not stripped or not stripped.isprintable():
        told = "must have a visible character, and no control characters"
        raise AppError(Reason.INVALID_REQUEST, violations=[Violation(field, told)])
    return stripped
