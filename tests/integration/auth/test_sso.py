"""Single sign-on against a strict provider: who may come in, as what, and everything that keeps a stranger out."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx2
import pytest

from emulators.oidc import Misbehaviour, OidcEmulator, Person
from services.auth.providers import oidc
from tests.integration.auth.conftest import EMAIL, World, problem, running_world
from tests.support.postgres import Database

ADA = Person("s-ada", "grace@example.com", "Grace", groups=("engineers", "lintel-admins"))
REDIRECT = "http://127.0.0.1:3001/auth/sso/callback"


@dataclass
class Sso:
    """A world whose organisation has an identity provider, and the provider."""

    world: World
    provider: OidcEmulator
    owner: str
    organization: str

    @property
    def body(self) -> dict[str, Any]:
        return {
            "issuer": self.provider.issuer,
            "clientId": self.provider.client_id,
            "clientSecret": self.provider.client_secret,
            "emailDomains": ["example.com", "Sub.Example.com"],
            "groupRoles": [
                {"group": "lintel-owners", "role": "owner"},
                {"group": "lintel-admins", "role": "repo_admin"},
            ],
            "defaultRole": "contributor",
        }

    async def configure(self, **more: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.owner}"}
        return await self.world.api.put("/auth/sso/configuration", json={**self.body, **more}, headers=headers)

    async def start(self, **body: Any) -> dict[str, Any]:
        answer = await self.world.post("/auth/sso/start", **body)
        assert answer.status_code == 200, answer.text
        started: dict[str, Any] = answer.json()
        return started

    async def callback(self, location: str, **changes: str | None) -> httpx2.Response:
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        query = {name: value for name, value in {**query, **changes}.items() if value is not None}
        return await self.world.api.get("/auth/sso/callback", params=query)

    async def sign_in(self, person: Person = ADA, **body: Any) -> httpx2.Response:
        url = (await self.start(**body))["authorizationUrl"]
        return await self.callback(self.provider.sign_in(url, person))

    async def member(self, email: str) -> tuple[str, str]:
        row = await self.world.owner.fetchrow("SELECT role, name FROM orgs.members WHERE email = $1", email)
        assert row is not None
        return row["role"], row["name"]


@pytest.fixture
async def sso(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sso]:
    monkeypatch.setattr(oidc, "KEYS_AGAIN_SECONDS", 0.0)
    async with (
        OidcEmulator(redirect_uri=REDIRECT) as provider,
        running_world(database, {"LINTEL_SSO_ISSUERS": f"https://other.example/, {provider.issuer}"}) as world,
    ):
        made = await world.register()
        token = (await world.login())["access_token"]
        ready = Sso(world, provider, token, made["organizationId"])
        answer = await ready.configure()
        assert answer.status_code == 200, answer.text
        yield ready


async def test_whom_the_provider_vouches_for_comes_in_with_the_role_of_their_groups(sso: Sso) -> None:
    answer = await sso.sign_in()
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert await sso.world.works(answer.json()["access_token"])
    assert await sso.member(ADA.email) == ("repo_admin", "Grace")
    # Again, with other groups: the same user, another role, also after the e-mail changed at the provider.
    again = await sso.sign_in(replace(ADA, groups=("lintel-owners",), email="grace.new@example.com"))
    assert again.status_code == 200
    assert await sso.member(ADA.email) == ("owner", "Grace")
    assert (await sso.sign_in(replace(ADA, groups=()))).status_code == 200
    assert await sso.member(ADA.email) == ("contributor", "Grace")
    assert await sso.world.owner.fetchval("SELECT count(*) FROM orgs.members") == 2
    assert sso.provider.violations == []


async def test_who_has_a_password_keeps_the_account(sso: Sso) -> None:
    ada = Person("s-1", EMAIL.upper(), groups=("lintel-owners",))
    assert (await sso.sign_in(ada, email=EMAIL)).status_code == 200
    assert await sso.world.owner.fetchval("SELECT count(*) FROM auth.users") == 1
    await sso.world.login()


async def test_who_came_by_sso_has_no_password_to_set(sso: Sso) -> None:
    await sso.sign_in()
    answer = await sso.world.post("/auth/password-reset-links", sso.owner, email=ADA.email)
    assert problem(answer) == (400, "WRONG_STATE")
    assert problem(await sso.world.post("/auth/login", email=ADA.email, password="x" * 8)) == (401, "LOGIN_FAILED")


async def test_the_organisation_is_found_by_id_by_e_mail_or_as_the_only_one(sso: Sso) -> None:
    for body in ({}, {"organizationId": sso.organization}, {"email": "x@EXAMPLE.com"}, {"email": "x@sub.example.com"}):
        assert (await sso.start(**body))["state"]
    for body in ({"organizationId": str(UUID(int=7))}, {"email": "x@elsewhere.example"}, {"email": "x"}):
        assert problem(await sso.world.post("/auth/sso/start", **body)) == (404, "SSO_NOT_CONFIGURED")
    assert problem(await sso.world.post("/auth/sso/start", organizationId="x")) == (400, "INVALID_REQUEST")


REFUSED: tuple[tuple[Person, str], ...] = (
    (replace(ADA, email_verified=False), "verified"),
    (replace(ADA, email_verified="true"), "verified"),
    (replace(ADA, email=""), "no e-mail"),
    (replace(ADA, email="grace@elsewhere.example"), "domain"),
    (replace(ADA, email="grace@evil-example.com"), "domain"),
    (replace(ADA, email="grace@example.com.evil.example"), "domain"),
)


async def test_claims_that_are_not_enough_are_refused(sso: Sso) -> None:
    for person, why in REFUSED:
        answer = await sso.sign_in(person)
        assert problem(answer) == (401, "SSO_REFUSED"), person
        assert why in answer.json()["detail"]
    await sso.configure(defaultRole="")
    assert problem(await sso.sign_in(replace(ADA, groups=("engineers",)))) == (401, "SSO_REFUSED")
    assert await sso.world.owner.fetchval("SELECT count(*) FROM orgs.members") == 1


async def test_a_disabled_user_stays_out(sso: Sso) -> None:
    await sso.sign_in()
    await sso.world.owner.execute("UPDATE orgs.members SET state = 'DISABLED' WHERE email = $1", ADA.email)
    assert problem(await sso.sign_in()) == (401, "SSO_REFUSED")


TOKENS = {"no-id-token": 503, "other-issuer-metadata": 503, "huge-answer": 503, "not-json": 503, "status-500": 503}


async def test_a_provider_that_misbehaves_lets_nobody_in(sso: Sso) -> None:
    for wrong in get_args(Misbehaviour):
        location = sso.provider.sign_in((await sso.start())["authorizationUrl"], ADA)
        await sso.configure()  # forgets the metadata that is remembered
        sso.provider.misbehaves = {wrong}
        if wrong == "other-issuer-metadata":
            answer = await sso.configure()
        else:
            answer = await sso.callback(location)
        expected = (503, "SSO_UNAVAILABLE") if wrong in TOKENS else (401, "SSO_REFUSED")
        assert problem(answer) == expected, (wrong, answer.text)
        assert sso.provider.client_secret not in answer.text
        sso.provider.misbehaves = set()
    assert await sso.world.owner.fetchval("SELECT count(*) FROM auth.users") == 1
    assert (await sso.sign_in()).status_code == 200


async def test_a_rotated_key_is_found(sso: Sso) -> None:
    assert (await sso.sign_in()).status_code == 200
    sso.provider.rotate_key()
    assert (await sso.sign_in()).status_code == 200


async def test_a_state_works_once_for_ten_minutes_and_a_code_once(sso: Sso) -> None:
    started = await sso.start()
    location = sso.provider.sign_in(started["authorizationUrl"], ADA)
    assert (await sso.callback(location)).status_code == 200
    assert problem(await sso.callback(location)) == (401, "SSO_REFUSED")
    other = (await sso.start())["state"]  # a stolen code under a state of one's own: PKCE refuses it
    location = sso.provider.sign_in((await sso.start())["authorizationUrl"], ADA)
    assert problem(await sso.callback(location, state=other)) == (401, "SSO_REFUSED")
    assert "the verifier does not fit" in sso.provider.violations[-1]
    location = sso.provider.sign_in((await sso.start())["authorizationUrl"], ADA)
    sso.world.clock.ahead = timedelta(minutes=10, seconds=1)
    assert problem(await sso.callback(location)) == (401, "SSO_REFUSED")


async def test_what_comes_back_wrong_is_refused(sso: Sso) -> None:
    for changes in (
        {"state": "lintel_state_" + "A" * 43},
        {"state": "x"},
        {"iss": "https://attacker.example"},
        {"code": "unknown"},
        {"code": None},
        {"error": "access_denied", "error_description": "<script>", "code": None},
    ):
        location = sso.provider.sign_in((await sso.start())["authorizationUrl"], ADA)
        answer = await sso.callback(location, **changes)
        assert problem(answer) == (401, "SSO_REFUSED"), changes
        assert "<script>" not in answer.text


async def test_what_providers_add_to_the_redirect_is_taken(sso: Sso) -> None:
    location = sso.provider.sign_in((await sso.start())["authorizationUrl"], ADA)
    more = {"session_state": "s", "scope": "openid email", "authuser": "0", "prompt": "consent", "hd": "example.com"}
    assert (await sso.callback(location, **more)).status_code == 200


async def test_a_wrong_client_secret_is_told_and_nothing_of_it(sso: Sso) -> None:
    await sso.configure(clientSecret="wrong secret of some length")
    answer = await sso.sign_in()
    assert problem(answer) == (401, "SSO_REFUSED")
    assert "invalid_client" in answer.json()["detail"]
    assert "wrong secret" not in answer.text


async def test_the_secret_is_write_only_and_the_mask_keeps_it(sso: Sso) -> None:
    shown = (await sso.world.get("/auth/sso/configuration", sso.owner)).json()
    assert shown["clientSecret"] == "a c…ore"
    assert shown["redirectUri"] == REDIRECT
    assert shown["emailDomains"] == ["example.com", "sub.example.com"]
    for kept in ("a c…ore", ""):
        assert (await sso.configure(clientSecret=kept)).json()["clientSecret"] == "a c…ore"
        assert (await sso.sign_in()).status_code == 200
    stored = str(await sso.world.owner.fetch("SELECT * FROM auth.sso_configurations"))
    stored += str(await sso.world.owner.fetch("SELECT * FROM orgs.audit_log"))
    assert sso.provider.client_secret not in stored
    assert "sso.update" in stored
    # A kept secret goes to whom it was given for; anybody else would be handed it.
    answer = await sso.configure(clientSecret="a c…ore", clientId="another")
    assert [v["field"] for v in answer.json()["violations"]] == ["clientSecret"]


async def test_only_owners_configure_and_only_issuers_of_the_operator(sso: Sso) -> None:
    for issuer in ("https://attacker.example", sso.provider.issuer + "/", "http://169.254.169.254"):
        answer = await sso.configure(issuer=issuer)
        assert problem(answer) == (400, "INVALID_REQUEST")
        assert [v["field"] for v in answer.json()["violations"]] == ["issuer"]
    wrong: tuple[dict[str, Any], ...] = (
        {"emailDomains": []},
        {"emailDomains": ["x"]},
        {"defaultRole": "admin"},
        {"clientSecret": "…"},
    )
    for body in (*wrong, {"groupRoles": [{"group": "g", "role": "root"}]}):
        assert problem(await sso.configure(**body)) == (400, "INVALID_REQUEST")
    token = (await sso.sign_in()).json()["access_token"]  # a repo_admin
    assert problem(await sso.world.get("/auth/sso/configuration", token)) == (403, "PERMISSION_DENIED")
    headers = {"authorization": f"Bearer {sso.owner}"}
    assert (await sso.world.api.delete("/auth/sso/configuration", headers=headers)).status_code == 204
    assert problem(await sso.world.get("/auth/sso/configuration", sso.owner)) == (404, "SSO_NOT_CONFIGURED")
    assert problem(await sso.world.post("/auth/sso/start")) == (404, "SSO_NOT_CONFIGURED")
    assert await sso.world.works(token)


async def test_a_provider_that_is_away_is_unavailable(sso: Sso) -> None:
    await sso.provider.stop()
    location = "http://x/?code=c&state=" + (await sso.start())["state"]
    assert problem(await sso.callback(location)) == (503, "SSO_UNAVAILABLE")
