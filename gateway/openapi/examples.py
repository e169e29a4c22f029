"""An example of each request body, by operation; a test holds them against the schemas and asks for missing ones."""

from collections.abc import Mapping
from typing import Any

_USER = "018f3b1c-7a2e-7c55-9d1e-5b1f0a7c2d43"
_PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
_MODEL = {
    "provider": "openai_compatible",
    "apiKey": "sk-...",
    "model": "qwen3-coder",
    "baseURL": "https://models.example.com/v1",
}

EXAMPLES: Mapping[str, Any] = {
    "register": {
        "email": "ada@example.com",
        "password": _PASSWORD,
        "name": "Ada Lovelace",
        "organizationName": "Analytical Engines",
    },
    "login": {"email": "ada@example.com", "password": _PASSWORD},
    "refresh": {"refresh_token": "lintel_refresh_..."},
    "logout": {"refresh_token": "lintel_refresh_..."},
    "forgotPassword": {"email": "ada@example.com"},
    "resetPassword": {"token": "lintel_reset_...", "password": _PASSWORD},
    "createPasswordResetLink": {"email": "ada@example.com"},
    "acceptInvitation": {"token": "lintel_invitation_...", "password": _PASSWORD, "name": "Grace Hopper"},
    "createApiKey": {"name": "continuous integration", "scopes": ["read"], "expireTime": "2027-12-31T00:00:00Z"},
    "startSso": {"email": "ada@example.com"},
    "updateSsoConfiguration": {
        "issuer": "https://id.example.com/realms/main",
        "clientId": "lintel",
        "clientSecret": "...",
        "emailDomains": ["example.com"],
        "groupsClaim": "groups",
        "groupRoles": [{"group": "platform", "role": "repo_admin"}],
        "defaultRole": "contributor",
    },
    "updateOrganization": {"name": "Analytical Engines"},
    "createTeam": {"name": "Platform"},
    "updateTeam": {"name": "Platform and tools"},
    "addTeamMember": {"userId": _USER},
    "setParameter": {"configValue": {"byokConfig": {"main": _MODEL}}},
    "testModel": _MODEL,
    "updateUser": {"name": "Grace Hopper", "role": "repo_admin"},
    "inviteUser": {"email": "grace@example.com", "role": "contributor", "repositoryIds": ["github:1296269"]},
    "assignRepositories": {"userId": _USER, "repositoryIds": ["github:1296269"]},
    "trackEvent": {"event": "review_opened", "properties": {"page": "reviews"}},
    "updateBudget": {"budgets": [{"scope": "organization", "period": "month", "limitUsd": 200}]},
    "createLocalReview": {
        "diff": "diff --git a/x.py b/x.py\nnew file mode 100644\n--- /dev/null\n+++ b/x.py\n@@ -0,0 +1 @@\n+x = 1\n",
        "options": {"repository": "acme/engine"},
    },
    "cancelReview": {},
    "redeliverDelivery": {},
    "replayDeadLetter": {},
}
