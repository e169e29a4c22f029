"""Who may call which RPC of the orgs service (contract, section 9)."""

from datetime import timedelta

from services.kit.rpc.policy import EVERYONE, OPERATORS, OWNER, Policy, internal, read, write

_ANALYTICS = "/lintel.orgs.v1.AnalyticsService/"
_AUDIT_LOG = "/lintel.orgs.v1.AuditLogService/"
_ORGANIZATIONS = "/lintel.orgs.v1.OrganizationService/"
_PARAMETERS = "/lintel.orgs.v1.ParameterService/"
_PERMISSIONS = "/lintel.orgs.v1.PermissionService/"
_USERS = "/lintel.orgs.v1.UserService/"
_USER_READERS = frozenset({"owner", "billing_manager"})

PUBLIC: Policy = {
    _ORGANIZATIONS + "GetOrganization": read(OWNER),
    _ORGANIZATIONS + "UpdateOrganization": write(OWNER, is_idempotent=True),
    _ORGANIZATIONS + "ListTeams": read(OWNER),
    _ORGANIZATIONS + "CreateTeam": write(OWNER),
    _ORGANIZATIONS + "GetTeam": read(OWNER),
    _ORGANIZATIONS + "UpdateTeam": write(OWNER, is_idempotent=True),
    _ORGANIZATIONS + "DeleteTeam": write(OWNER, is_idempotent=True),
    _ORGANIZATIONS + "ListTeamMembers": read(OWNER),
    _ORGANIZATIONS + "AddTeamMember": write(OWNER, is_idempotent=True),
    _ORGANIZATIONS + "RemoveTeamMember": write(OWNER, is_idempotent=True),
    _PARAMETERS + "ListParameters": read(OWNER),
    _PARAMETERS + "GetParameter": read(OWNER),
    _PARAMETERS + "SetParameter": write(OWNER, is_idempotent=True),
    _PARAMETERS + "DeleteParameter": write(OWNER, is_idempotent=True),
    # Who one is oneself and what one may do, everybody may know.
    _USERS + "GetUserInfo": read(EVERYONE),
    _USERS + "ListUsers": read(_USER_READERS),
    _USERS + "UpdateUser": write(frozenset({"owner", "contributor"}), is_idempotent=True),  # contributor: own name
    _USERS + "DeleteUser": write(OWNER, is_idempotent=True),
    _USERS + "InviteUser": write(OWNER),
    _USERS + "ListInvitations": read(_USER_READERS),
    _USERS + "DeleteInvitation": write(OWNER, is_idempotent=True),
    _PERMISSIONS + "ListPermissions": read(EVERYONE),
    _PERMISSIONS + "CanAccess": read(EVERYONE),
    _PERMISSIONS + "GetAssignedRepositories": read(EVERYONE),  # of others: those who may read users
    _PERMISSIONS + "AssignRepositories": write(OWNER, is_idempotent=True),
    _AUDIT_LOG + "ListAuditEntries": read(EVERYONE),
    _AUDIT_LOG + "ExportAuditLog": read(EVERYONE, deadline=timedelta(minutes=30)),
    _AUDIT_LOG + "VerifyAuditLog": read(EVERYONE, deadline=timedelta(minutes=5)),
    _ANALYTICS + "TrackEvent": write(EVERYONE),  # about oneself
    _ANALYTICS + "GetMetrics": read(OPERATORS),
}
_DIRECTORY = "/lintel.orgs.v1.DirectoryService/"
INTERNAL: Policy = {
    _DIRECTORY + "GetDefaultOrganization": internal("webhooks", "auth", "llm_gateway", "review", is_idempotent=True),
    _DIRECTORY + "CreateOrganizationWithOwner": internal("auth", is_idempotent=True),
    _DIRECTORY + "ResolveMember": internal("auth", is_idempotent=True),
    _DIRECTORY + "GetInvitation": internal("auth", is_idempotent=True),
    _DIRECTORY + "AcceptInvitation": internal("auth", is_idempotent=True),
    _DIRECTORY + "JoinBySso": internal("auth", is_idempotent=True),
    _DIRECTORY + "GetParameter": internal("auth", "llm_gateway", "review", "webhooks", is_idempotent=True),
}
