"""Registration and invitations, as the contract has them."""

import asyncio
from uuid import UUID

import httpx2
import pytest

from services.auth import user_store
from services.kit.errors import AppError, Reason
from tests.integration.auth.conftest import EMAIL, PASSWORD, World, problem


async def test_the_first_user_owns_the_default_organisation_and_the_door_closes(world: World) -> None:
    made = await world.register(organizationName="Analytical Engines")
    assert made == {
        "userId": made["userId"],
        "organizationId": str(world.mesh.local.organization_id),
        "email": EMAIL,
        "name": "Ada",
        "role": "owner",
    }
    tokens = await world.login()
    assert (await world.get("/organization", tokens["access_token"])).json()["name"] == "Analytical Engines"
    for email in (EMAIL, "second@example.com"):  # closed comes first: it tells nobody which e-mails there are
        answer = await world.post("/auth/register", email=email, password=PASSWORD, name="B")
        assert problem(answer) == (403, "REGISTRATION_CLOSED")


async def test_of_many_who_register_at_once_one_is_first(world: World) -> None:
    answers = await asyncio.gather(
        *(world.post("/auth/register", email=f"u{i}@example.com", password=PASSWORD, name="U") for i in range(6))
    )
    assert sorted(a.status_code for a in answers) == [201] + [403] * 5


async def test_of_two_with_one_e_mail_at_once_one_has_the_account(open_world: World) -> None:
    passwords = [f"password {index}" for index in range(4)]
    answers = await asyncio.gather(
        *(open_world.post("/auth/register", email=EMAIL, password=password, name="A") for password in passwords)
    )
    assert sorted(a.status_code for a in answers) == [201, 409, 409, 409]
    logins = [(await open_world.post("/auth/login", email=EMAIL, password=p)).status_code for p in passwords]
    assert [a.status_code == 201 for a in answers] == [status == 200 for status in logins]


async def test_where_registration_is_open_everybody_gets_an_organisation_of_their_own(open_world: World) -> None:
    first = await open_world.register()
    second = await open_world.register("grace@example.com", organizationName="Compilers")
    assert second["role"] == "owner"
    assert first["organizationId"] != second["organizationId"]
    answer = await open_world.post("/auth/register", email="ADA@Example.com", password=PASSWORD, name="A")
    assert problem(answer) == (409, "EMAIL_TAKEN")


WRONG: list[tuple[dict[str, object], str]] = [
    ({"password": "1234567"}, "password"),
    ({"password": "x" * 257}, "password"),
    ({"email": "no e-mail"}, "email"),
    ({"email": "a@" + "b" * 300 + ".com"}, "email"),
    ({"name": ""}, "name"),
    ({"name": "   "}, "name"),
    ({"name": "a\u0007b"}, "name"),
    ({"organizationName": "a\nb"}, "organizationName"),
    ({"role": "owner"}, "role"),
    ({"organizationId": str(UUID(int=1))}, "organizationId"),
    ({"isOpen": True}, "isOpen"),
]


async def test_what_is_wrong_is_named(world: World) -> None:
    for body, field in WRONG:
        sent = {"email": EMAIL, "password": PASSWORD, "name": "A", **body}
        answer = await world.api.post("/auth/register", json=sent)
        assert problem(answer) == (400, "INVALID_REQUEST"), body
        assert {v["field"] for v in answer.json()["violations"]} == {field}
        assert "1234567" not in answer.text
    assert await world.owner.fetchval("SELECT count(*) FROM auth.users") == 0


async def test_any_eight_characters_are_a_password(open_world: World) -> None:
    passwords = ("12345678", "aaaaaaaa", "пароль-пароль", "with spaces in it", "🐎" * 8, "x" * 256)
    for number, password in enumerate(passwords):
        await open_world.register(f"u{number}@example.com", password)
        await open_world.login(f"u{number}@example.com", password)


async def test_a_registration_that_failed_half_way_is_finished_by_trying_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = user_store.UserStore.insert

    async def crash(*_: object) -> None:
        raise AppError(Reason.UNAVAILABLE)

    monkeypatch.setattr(user_store.UserStore, "insert", crash)
    answer = await world.post("/auth/register", email=EMAIL, password=PASSWORD, name="Ada")
    assert problem(answer) == (503, "UNAVAILABLE")
    monkeypatch.setattr(user_store.UserStore, "insert", insert)
    made = await world.register()
    assert await world.owner.fetchval("SELECT count(*) FROM orgs.members") == 1
    assert await world.owner.fetchval("SELECT user_id FROM orgs.members") == UUID(made["userId"])
    await world.login()


async def test_who_is_invited_joins_with_the_role_of_the_invitation(world: World) -> None:
    organization = (await world.register())["organizationId"]
    token = await world.invite(organization, "grace@example.com", "repo_admin")
    answer = await world.post("/user/invite/accept", token=token, password=PASSWORD, name="Grace")
    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert await world.works(answer.json()["access_token"])
    await world.login("Grace@example.com")
    rows = await world.owner.fetch("SELECT role, name FROM orgs.members WHERE email = 'grace@example.com'")
    assert [tuple(row) for row in rows] == [("repo_admin", "Grace")]
    again = await world.post("/user/invite/accept", token=token, password="another password")
    assert problem(again) == (400, "INVITATION_INVALID")
    await world.login("grace@example.com")  # and the password is still the first one


async def test_an_invitation_nobody_made_is_worth_nothing(world: World) -> None:
    await world.register()
    for token in ("x", "0" * 64, "' OR 1=1 --", "\u0000"):
        answer = await world.post("/user/invite/accept", token=token, password=PASSWORD)
        assert answer.status_code == 400
        assert answer.json()["reason"] in ("INVITATION_INVALID", "INVALID_REQUEST")


async def test_an_acceptance_that_failed_half_way_is_finished_by_trying_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = (await world.register())["organizationId"]
    token = await world.invite(organization, "grace@example.com")
    insert = user_store.UserStore.insert

    async def crash(*_: object) -> None:
        raise AppError(Reason.UNAVAILABLE)

    monkeypatch.setattr(user_store.UserStore, "insert", crash)
    assert (await world.post("/user/invite/accept", token=token, password=PASSWORD)).status_code == 503
    monkeypatch.setattr(user_store.UserStore, "insert", insert)
    assert (await world.post("/user/invite/accept", token=token, password=PASSWORD)).status_code == 200
    await world.login("grace@example.com")


async def test_an_address_that_registers_again_and_again_waits(open_world: World) -> None:
    answers: list[httpx2.Response] = []
    for index in range(21):
        body = {"email": "taken@example.com" if index else EMAIL, "password": PASSWORD, "name": "A"}
        answers.append(await open_world.api.post("/auth/register", json=body))
    assert problem(answers[-1]) == (429, "TOO_MANY_ATTEMPTS")
    assert int(answers[-1].headers["retry-after"]) > 0
    assert {a.status_code for a in answers[2:-1]} == {409}
