"""Who may call which RPC of the orgs service."""

from services.kit.rpc.policy import OWNER, Policy, internal, read

PUBLIC: Policy = {
    "/lintel.orgs.v1.OrganizationService/GetOrganization": read(OWNER),
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
