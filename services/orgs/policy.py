"""Who may call which RPC of the orgs service."""

from services.kit.rpc.policy import OWNER, Policy, internal, read

PUBLIC: Policy = {
    "/lintel.orgs.v1.OrganizationService/GetOrganization": read(OWNER),
}
INTERNAL: Policy = {
    "/lintel.orgs.v1.DirectoryService/GetDefaultOrganization": internal("webhooks", is_idempotent=True),
}
