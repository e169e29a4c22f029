"""One request for each operation that must succeed as owner, by operationId, in the order they are sent in.

A text like `{createTeam.id}` is what an earlier answer holds there. What a table can't say is a function of the world.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.e2e.api.conftest import INVITATION, Api
from tests.e2e.api.outside import EMAIL, MODEL, SSO_EMAIL

DIFF = "diff --git a/x.py b/x.py\nnew file mode 100644\n--- /dev/null\n+++ b/x.py\n@@ -0,0 +1 @@\n+x = 1\n"
PULL_REQUEST = Path(__file__).parents[2] / "fixtures" / "github" / "octokit" / "pull_request.opened.0.json"
PASSWORD = "another password"
JOINING, LEAVING = "joe@example.com", "lee@example.com"


@dataclass
class Seen:
    """The running system, and what earlier rows were answered, by operationId."""

    api: Api
    answers: dict[str, Any] = field(default_factory=dict)

    def wait(self, path: str, find: Callable[[Any], Any]) -> Any:
        """Answer what is found in the answer to a GET, once it is there."""
        deadline = time.monotonic() + 60
        with self.api.client("127.0.0.8", "owner") as client:
            while not (found := find(client.get(path).json())):
                assert time.monotonic() < deadline, path
        return found


Value = str | int | bool | Callable[[Seen], Any]


@dataclass(frozen=True)
class Row:
    """A request; `path` and `query` by name, `body` as JSON or bytes, `bearer` in place of the owner's key."""

    path: Mapping[str, Value] = field(default_factory=dict)
    query: Mapping[str, Value] = field(default_factory=dict)
    body: Any = None
    headers: Callable[[bytes, Seen], dict[str, str]] | None = None
    bearer: str = ""


def _signed(event: str) -> Callable[[bytes, Seen], dict[str, str]]:
    def headers(body: bytes, seen: Seen) -> dict[str, str]:
        signature = hmac.new(seen.api.outside.secrets.webhook.encode(), body, hashlib.sha256).hexdigest()
        return {
            "content-type": "application/json",
            "x-github-event": event,
            "x-github-delivery": hashlib.sha256(body).hexdigest()[:36],
            "x-hub-signature-256": f"sha256={signature}",
        }

    return headers


def _password(seen: Seen) -> str:
    return seen.api.outside.secrets.password


def _mailed(address: str) -> Callable[[Seen], str]:
    return lambda seen: seen.api.outside.token_mailed_to(address, INVITATION)


def _reset_token(seen: Seen) -> str:
    return str(seen.answers["createPasswordResetLink"]["link"]).partition("token=")[2]


def _returned(name: str) -> Callable[[Seen], str]:
    def value(seen: Seen) -> str:
        if "returned" not in seen.answers:
            location = seen.api.outside.sign_in(seen.answers["startSso"]["authorizationUrl"])
            seen.answers["returned"] = {k: v[0] for k, v in parse_qs(urlsplit(location).query).items()}
        return str(seen.answers["returned"][name])

    return value


def _done(seen: Seen) -> str:
    made = seen.answers["createLocalReview"]["review"]["id"]
    seen.wait(f"/codeReview/{made}", lambda answer: answer["review"]["state"] == "completed")
    return str(made)


def _of_the_pull_request(seen: Seen) -> str:
    def find(answer: Any) -> Any:
        return next((r["id"] for r in answer["reviews"] if r["state"] in ("queued", "running")), None)

    return str(seen.wait("/codeReview", find))


def _failed_delivery(seen: Seen) -> str:
    with seen.api.client("127.0.0.8") as client:
        body = b'{"action": "opened"'  # signed, and no JSON
        sent = client.post("/github/webhook", content=body, headers=_signed("pull_request")(body, seen))
    assert sent.status_code in (200, 202), sent.text

    def find(answer: Any) -> Any:
        return next((d["id"] for d in answer["deliveries"]), None)

    return str(seen.wait("/webhook-health/deliveries?state=failed", find))


def _dead_letter(seen: Seen) -> str:
    def find(answer: Any) -> Any:
        return next((d["id"] for d in answer["deadLetters"]), None)

    return str(seen.wait("/webhook-health/dead-letters", find))


def _issuer(seen: Seen) -> str:
    return seen.api.outside.oidc.issuer


BYOK = {
    "provider": "openai_compatible",
    "apiKey": lambda seen: seen.api.outside.secrets.model_key,
    "model": MODEL,
    "baseURL": lambda seen: seen.api.outside.model.url,
}

ROWS: Mapping[str, Row] = {
    # signing in
    "getJwks": Row(),
    "register": Row(body={"email": LEAVING, "password": PASSWORD, "name": "Lee", "organizationName": "Lee's"}),
    "login": Row(body={"email": EMAIL, "password": _password}),
    "refresh": Row(body={"refresh_token": "{login.refresh_token}"}),
    "logout": Row(body={}, bearer="{refresh.access_token}"),
    "forgotPassword": Row(body={"email": LEAVING}),
    "inviteUser": Row(body={"email": JOINING, "role": "repo_admin", "repositoryIds": ["github:1"]}),
    "listInvitations": Row(query={"pageSize": 5}),
    "acceptInvitation": Row(body={"token": _mailed(JOINING), "password": PASSWORD, "name": "Joe"}),
    "createPasswordResetLink": Row(body={"email": JOINING}),
    "resetPassword": Row(body={"token": _reset_token, "password": PASSWORD + "!"}),
    "createApiKey": Row(body={"name": "of a robot", "scopes": ["read"], "expireTime": "2099-01-01T00:00:00Z"}),
    "listApiKeys": Row(query={"pageSize": 5}),
    "deleteApiKey": Row(path={"id": "{createApiKey.apiKey.id}"}),
    "updateSsoConfiguration": Row(
        body={
            "issuer": _issuer,
            "clientId": "lintel",
            "clientSecret": lambda seen: seen.api.outside.secrets.client_secret,
            "emailDomains": ["sso.example.com"],
            "defaultRole": "contributor",
        }
    ),
    "getSsoConfiguration": Row(),
    "startSso": Row(body={"email": SSO_EMAIL}),
    "completeSso": Row(query={"code": _returned("code"), "state": _returned("state"), "iss": _returned("iss")}),
    "deleteSsoConfiguration": Row(),
    # the organisation and who is in it
    "getOrganization": Row(),
    "updateOrganization": Row(body={"name": "The team"}),
    "getUserInfo": Row(),
    "listUsers": Row(query={"pageSize": 50}),
    "updateUser": Row(
        path={
            "id": lambda seen: seen.wait("/user", lambda a: next(u["id"] for u in a["users"] if u["email"] == JOINING))
        },
        body={"name": "Joseph", "role": "contributor"},
    ),
    "createTeam": Row(body={"name": "Reviewers"}),
    "listTeams": Row(),
    "getTeam": Row(path={"id": "{createTeam.id}"}),
    "updateTeam": Row(path={"id": "{createTeam.id}"}, body={"name": "Readers"}),
    "addTeamMember": Row(path={"id": "{createTeam.id}"}, body={"userId": "{updateUser.id}"}),
    "listTeamMembers": Row(path={"id": "{createTeam.id}"}),
    "removeTeamMember": Row(path={"id": "{createTeam.id}", "userId": "{updateUser.id}"}),
    "deleteTeam": Row(path={"id": "{createTeam.id}"}),
    "listPermissions": Row(),
    "canAccess": Row(query={"action": "read", "resource": "reviews"}),
    "assignRepositories": Row(body={"userId": "{updateUser.id}", "repositoryIds": ["github:1", "github:2"]}),
    "getAssignedRepositories": Row(query={"userId": "{updateUser.id}"}),
    "deleteUser": Row(path={"id": "{updateUser.id}"}),
    "deleteInvitation": Row(
        path={
            "id": lambda seen: _post(seen, "/user/invite", {"email": "late@example.com"})["invitation"]["id"],
        }
    ),
    # parameters and models
    "setParameter": Row(path={"key": "code-review"}, body={"configValue": {"byokConfig": {"main": BYOK}}}),
    "getParameter": Row(path={"key": "code-review"}),
    "listParameters": Row(),
    "listProviders": Row(),
    "listModels": Row(query={"provider": "openai_compatible"}),
    "testModel": Row(body=BYOK),
    # reviews: the one that is made here asks the model
    "createLocalReview": Row(body={"diff": DIFF, "options": {"repository": "acme/x"}}),
    "watchReview": Row(path={"id": "{createLocalReview.review.id}"}),
    "getReview": Row(path={"id": _done}),
    "listFindings": Row(path={"id": "{createLocalReview.review.id}"}),
    "getReceipt": Row(path={"id": "{createLocalReview.review.id}"}),
    "listReviews": Row(query={"pageSize": 5}),
    "deleteParameter": Row(path={"key": "code-review"}),
    "getTokenUsage": Row(query={"groupBy": "model"}),
    "updateBudget": Row(body={"budgets": [{"scope": "organization", "period": "month", "limitUsd": 100}]}),
    "getBudget": Row(),
    # webhooks; the host does not answer, so the review of the pull request waits
    "receiveGithubWebhook": Row(body=PULL_REQUEST.read_bytes(), headers=_signed("pull_request")),
    "cancelReview": Row(path={"id": _of_the_pull_request}, body={}),
    "listDeliveries": Row(query={"host": "github"}),
    "getDelivery": Row(path={"id": "{receiveGithubWebhook.deliveryId}"}),
    "redeliverDelivery": Row(path={"id": _failed_delivery}, body={}),
    "listDeadLetters": Row(),
    "replayDeadLetter": Row(path={"id": _dead_letter}, body={}),
    "getWebhookHealth": Row(),
    # what happened
    "trackEvent": Row(body={"event": "page_opened", "properties": {"page": "reviews"}}),
    "getMetrics": Row(query={"groupBy": "day"}),
    "listAuditEntries": Row(query={"pageSize": 10}),
    "exportAuditLog": Row(),
    "verifyAuditLog": Row(),
    # written by hand at the edge
    "getHealth": Row(),
    "getLiveness": Row(),
    "getReadiness": Row(),
    "getOpenApi": Row(),
    "getDocs": Row(),
}


def _post(seen: Seen, path: str, body: dict[str, Any]) -> Any:
    with seen.api.client("127.0.0.8", "owner") as client:
        return client.post(path, json=body).json()


def filled(template: Any, seen: Seen) -> Any:
    """Answer a template with what it names in place."""
    if callable(template):
        return template(seen)
    if isinstance(template, dict):
        return {name: filled(value, seen) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(value, seen) for value in template]
    if isinstance(template, str) and template.startswith("{") and template.endswith("}"):
        found: Any = seen.answers
        for part in template.strip("{}").split("."):
            found = found[part]
        return found
    return template


def content_of(row: Row, seen: Seen) -> bytes:
    """Answer a row's body as it is sent."""
    return row.body if isinstance(row.body, bytes) else json.dumps(filled(row.body, seen)).encode()
