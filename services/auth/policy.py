"""Who may call which RPC of the auth service."""

from services.kit.rpc.policy import EVERYONE, OWNER, Policy, internal, opened, read, write

_AUTH = "/lintel.auth.v1.AuthService/"
_SSO = "/lintel.auth.v1.SsoService/"
_KEYS = "/lintel.auth.v1.ApiKeyService/"

PUBLIC: Policy = {
    _AUTH + "Register": opened(),
    _AUTH + "Login": opened(),
    _AUTH + "Refresh": opened(),
    _AUTH + "Logout": write(EVERYONE, is_idempotent=True),
    _AUTH + "ForgotPassword": opened(),
    _AUTH + "ResetPassword": opened(),
    _AUTH + "CreatePasswordResetLink": write(OWNER, is_idempotent=True),  # nothing of the link is kept for a replay
    _AUTH + "GetJwks": opened(),
    _AUTH + "AcceptInvitation": opened(),
    _SSO + "StartSso": opened(),
    _SSO + "CompleteSso": opened(),
    _SSO + "GetSsoConfiguration": read(OWNER),
    _SSO + "UpdateSsoConfiguration": write(OWNER, is_idempotent=True),
    _SSO + "DeleteSsoConfiguration": write(OWNER, is_idempotent=True),
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
