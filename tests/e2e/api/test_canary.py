"""A canary in every secret field: seen where it is used, and in no log, trace, row, answer or mail besides."""

import asyncio
import hashlib
import re
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx2

from emulators.models.said import Failed
from tests.e2e.api.conftest import INVITATION, Api
from tests.e2e.api.outside import EMAIL, MODEL, nothing_found
from tests.e2e.api.rows import DIFF, ROWS, Seen, content_of, filled

ZOE = "zoe@example.com"
# The answers that hand a secret out, once; and the mails.
HANDED_OUT = {
    "access token": {"POST /auth/login", "POST /auth/refresh"},
    "refresh token": {"POST /auth/login", "POST /auth/refresh"},
    "new refresh token": {"POST /auth/refresh"},
    "api key": {"POST /auth/api-keys"},
    "reset token": {"POST /auth/password-reset-links"},
}
MAILED = {"invitation token"}
KEPT_ON_PURPOSE = ("secrets.env", "api-key")  # in the state directory, for their owner's eyes (0600)


def drive(api: Api) -> dict[str, str]:
    """Use every secret field, rightly and wrongly; answers the secrets by name."""
    secrets, known = api.outside.secrets, {f"configured {k}": v for k, v in vars(api.outside.secrets).items()}
    with api.client("127.0.0.6") as client, api.client("127.0.0.6", "owner") as owner:
        login = client.post("/auth/login", json={"email": EMAIL, "password": secrets.password}).json()
        known |= {"access token": login["access_token"], "refresh token": login["refresh_token"]}
        ada = {"authorization": f"Bearer {login['access_token']}"}
        known["new refresh token"] = client.post(
            "/auth/refresh", json={"refresh_token": login["refresh_token"]}
        ).json()["refresh_token"]
        key = client.post("/auth/api-keys", json={"name": "canary"}, headers=ada).json()["key"]
        known["api key"] = key
        assert client.get("/user/info", headers={"authorization": f"Bearer {key}"}).status_code == 200

        headers = {"idempotency-key": secrets.idempotency_key}
        for _ in range(2):
            invited = owner.post("/user/invite", json={"email": ZOE, "role": "repo_admin"}, headers=headers)
            assert invited.status_code == 201, invited.text
        known["invitation token"] = api.outside.token_mailed_to(ZOE, INVITATION)
        accept = {"token": known["invitation token"], "password": secrets.password, "name": "Zoe"}
        assert client.post("/user/invite/accept", json=accept).status_code == 200
        link = owner.post("/auth/password-reset-links", json={"email": ZOE}).json()["link"]
        known["reset token"] = link.partition("token=")[2]
        reset = {"token": known["reset token"], "password": secrets.changed_password}
        assert client.post("/auth/reset-password", json=reset).is_success
        zoe = {"email": ZOE, "password": secrets.changed_password}
        assert client.post("/auth/login", json=zoe).status_code == 200
        models_and_providers(api, owner)
        mistakes(api, client, owner, known)
        read_everything(api, owner)
    return known


def models_and_providers(api: Api, owner: httpx2.Client) -> None:
    seen = Seen(api)
    for name in ("updateSsoConfiguration", "startSso", "completeSso"):
        row = ROWS[name]
        verb, path = {
            "updateSsoConfiguration": ("PUT", "/auth/sso/configuration"),
            "startSso": ("POST", "/auth/sso/start"),
            "completeSso": ("GET", "/auth/sso/callback"),
        }[name]
        content = None if row.body is None else content_of(row, seen)
        head = {} if content is None else {"content-type": "application/json"}
        answer = owner.request(verb, path, params=filled(dict(row.query), seen), content=content, headers=head)
        assert answer.status_code == 200, (name, answer.text)
        seen.answers[name] = answer.json()
    body = content_of(ROWS["setParameter"], seen)
    answer = owner.post(
        "/organization/parameters/code-review", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 201, answer.text
    review = owner.post("/codeReview/local", json={"diff": DIFF}).json()["review"]["id"]
    seen.wait(f"/codeReview/{review}", lambda a: a["review"]["state"] == "completed")
    body = content_of(ROWS["testModel"], seen)
    for said in (nothing_found, lambda _: Failed(400, "bad_request", f"no: {api.outside.secrets.model_key}")):
        api.outside.says = said
        answer = owner.post(
            "/organization/parameters/test-byok", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 200, answer.text
    api.outside.says = nothing_found
    row = ROWS["receiveGithubWebhook"]
    body = (
        content_of(row, seen).replace(b'"action":"opened"', b'"action":"reopened"').replace(b'"opened"', b'"reopened"')
    )
    assert row.headers is not None
    assert owner.post("/github/webhook", content=body, headers=row.headers(body, seen)).status_code in (200, 202)


def mistakes(api: Api, client: httpx2.Client, owner: httpx2.Client, known: Mapping[str, str]) -> None:
    """Send secrets where they don't belong: every answer is a problem, and none repeats them."""
    secrets = api.outside.secrets
    byok = {"provider": "openai", "apiKey": secrets.model_key, "model": MODEL}
    wrong = [
        client.post("/auth/register", json={"email": "no mail", "password": secrets.password, "name": "x"}),
        client.post("/auth/login", json={"email": "nobody@example.com", "password": secrets.password}),
        client.post("/auth/login", json={"email": EMAIL, "password": {"is": secrets.password}}),
        client.post("/auth/refresh", json={"refresh_token": known["refresh token"]}),
        client.post("/auth/reset-password", json={"token": known["reset token"], "password": "another one"}),
        client.post("/auth/login", content=f'{{"password": "{secrets.password}"'.encode()),
        client.get(f"/nowhere?token={known['api key']}"),
        client.get("/user/info", headers={"authorization": f"Bearer {known['access token'][:-2]}"}),
        client.get("/user/info", headers={"authorization": f"Basic {known['api key']}"}),
        owner.put("/auth/sso/configuration", json={"issuer": "http://no", "clientSecret": secrets.client_secret}),
        owner.post(
            "/organization/parameters/code-review", json={"configValue": {"byokConfig": {"main": {**byok, "modle": 1}}}}
        ),
        owner.post(
            "/organization/parameters/code-review", json={"configValue": {"byokConfig": {"main": secrets.model_key}}}
        ),
        client.post("/github/webhook", json={}, headers={"x-hub-signature-256": f"sha256={secrets.webhook}"}),
    ]
    tested = owner.post("/organization/parameters/test-byok", json={**byok, "baseURL": f"ftp://{secrets.model_key}@x"})
    assert (tested.status_code, tested.json()["ok"]) == (200, False)
    assert [(a.request.url.path, a.status_code) for a in wrong if not 400 <= a.status_code < 500] == []


def read_everything(api: Api, owner: httpx2.Client) -> None:
    for path, verbs in api.document["paths"].items():
        if "get" in verbs and "{" not in path:
            owner.get(path, params={"state": "x", "code": "x"} if "callback" in path else None)
    for path in ("/organization/parameters/code-review",):
        assert owner.get(path).status_code == 200
    for delivery in owner.get("/webhook-health/deliveries").json()["deliveries"]:
        owner.get(f"/webhook-health/deliveries/{delivery['id']}")


def forms(secret: str) -> set[bytes]:
    """Answer a secret as it would look, were it written down somewhere; a digest of it is not the secret."""
    plain = secret.encode()
    return {plain, b64encode(plain).rstrip(b"="), plain.hex().encode(), quote(secret, safe="").encode()}


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in KEPT_ON_PURPOSE:
            try:
                yield str(path.relative_to(folder)), path.read_bytes()
            except OSError:  # gone meanwhile, or a socket
                continue


async def rows(dsn: str) -> list[tuple[str, bytes]]:
    """Answer every row of every table."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        found = []
        for table in tables:
            texts = await connection.fetch(f"SELECT t::text AS row FROM {table['name']} t")
            found += [(f"table {table['name']}", row["row"].encode()) for row in texts]
        return found
    finally:
        await connection.close()


def test_a_secret_is_seen_where_it_is_used_and_nowhere_else(api: Api) -> None:
    api.answers.clear()
    known = drive(api)
    wait_for(lambda: api.outside.host_credentials, "the code host is called")
    wait_for(lambda: any(s.name == "HTTP POST /auth/login" for r in api.outside.traces for s in r.spans), "traces")

    used = api.outside
    assert used.model.asked, "the model was called with its key: without it the emulator understands nothing"
    assert ("mailer", used.secrets.smtp_password) in used.smtp_logins
    assert any(used.secrets.host_token in credential for credential in used.host_credentials)
    assert "token" in " ".join(used.oidc.asked), "the client secret was shown to the identity provider"

    state = api.system.layout.state
    dsn = api.system.status.postgres_dsn
    assert dsn is not None
    places: list[tuple[str, bytes]] = [*files(state), *asyncio.run(rows(dsn))]
    places += [("traces", received.raw) for received in used.traces]
    places += [("metrics", httpx2.get(api.system.metrics_url, trust_env=False).content)]
    places += [("to the model", record.body + repr(record.headers).encode()) for record in used.model.requests]
    made = dict(re.findall(r"^([A-Z_]+)=(\S{16,})$", (state / "secrets.env").read_text(), re.M))
    assert {"API_JWT_SECRET", "API_CRYPTO_KEY"} <= made.keys()
    known |= made | {"installation's key": api.key}
    assert len(known) > 15
    assert any(b'"route": "/auth/login"' in content for name, content in places if name.startswith("logs"))

    leaks = []
    for name, secret in known.items():
        wanted = forms(secret)
        leaks += [f"{name} in {place}" for place, content in places if any(form in content for form in wanted)]
        for asked, text in api.answers:
            if asked not in HANDED_OUT.get(name, ()) and any(form in text.encode() for form in wanted):
                leaks.append(f"{name} in the answer to {asked}")
        for to, text in used.mails:
            if name not in MAILED and secret in text:
                leaks.append(f"{name} in a mail to {to}")
    assert sorted(set(leaks)) == []
    assert hashlib.sha256(known["api key"].encode()).hexdigest().encode() in b"".join(
        c for p, c in places if "api_keys" in p
    )


def wait_for(condition: object, what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
