"""Who may call which RPC of the auth service."""

from services.kit.rpc.policy import EVERYONE, Policy, internal, read, write

_KEYS = "/lintel.auth.v1.ApiKeyService/"

PUBLIC: Policy = {
    _KEYS + "CreateApiKey": write(EVERYONE),  # a role can't be chosen: a key has that of whoever makes it
    _KEYS + "ListApiKeys": read(EVERYONE),
    _KEYS + "DeleteApiKey": write(EVERYONE, is_idempotent=True),
}
_EVERY_ROLE = ("auth", "orgs", "llm_gateway", "webhooks", "review", "gateway")
_CREDENTIALS = "/lintel.auth.v1.CredentialService/"
INTERNAL: Policy = {
    _CREDENTIALS + "ResolveApiKey": internal(*_EVERY_ROLE, is_idempotent=True),
    _CREDENTIALS + "ResolveSession": internal(*_EVERY_ROLE, is_idempotent=True),
    _CREDENTIALS + "ListSigningKeys": internal(*_EVERY_ROLE, is_idempotent=True),
    _CREDENTIALS + "EndSessions": internal("orgs", is_idempotent=True),
    _CREDENTIALS + "DeleteCredentials": internal("orgs", is_idempotent=True),
}
