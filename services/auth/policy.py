"""Who may call which RPC of the auth service."""

from services.kit.rpc.policy import EVERYONE, Policy, internal, read, write

_KEYS = "/lintel.auth.v1.ApiKeyService/"

PUBLIC: Policy = {
    _KEYS + "CreateApiKey": write(EVERYONE),  # a role can't be chosen: a key has that of whoever makes it
    _KEYS + "ListApiKeys": read(EVERYONE),
    _KEYS + "DeleteApiKey": write(EVERYONE, is_idempotent=True),
}
INTERNAL: Policy = {
    "/lintel.auth.v1.CredentialService/ResolveApiKey": internal(
        "auth", "orgs", "llm_gateway", "webhooks", "review", "gateway", is_idempotent=True
    ),
}
