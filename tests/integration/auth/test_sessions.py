"""Sessions: sign in, refresh by rotation, sign out; and what ends within five seconds."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import PyJWK

from services.auth.passwords import Passwords
from services.auth.session_store import SessionStore
from services.kit.postgres.pool import Database as Pool
from services.kit.rpc.access_tokens import Claims, key_id, sign
from tests.integration.auth.conftest import EMAIL, PASSWORD, World, problem
from tests.support.system import until


async def die(world: World, *credentials: str) -> None:
    """Wait until none of the credentials works."""

    async def dead() -> bool:
        return not any([await world.works(credential) for credential in credentials])

    await until(dead)


async def api_key(world: World, access_token: str, **more: Any) -> str:
    answer = await world.post("/auth/api-keys", access_token, name="ci", **more)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


async def test_login_answers_as_the_contract_says(world: World) -> None:
    await world.register()
    tokens = await world.login(" ADA@example.com")
    assert tokens.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    assert await world.works(tokens["access_token"])
    assert not await world.works(tokens["refresh_token"])


async def test_anybody_can_verify_a_token_with_the_published_keys(world: World) -> None:
    made = await world.register()
    token = (await world.login())["access_token"]
    (key,) = (await world.get("/.well-known/jwks.json")).json()["keys"]
    assert key.keys() == {"kty", "crv", "x", "kid", "alg", "use"}
    header = jwt.get_unverified_header(token)
    assert (header["kid"], header["alg"]) == (key["kid"], "EdDSA")
    claims = jwt.decode(token, PyJWK(key), algorithms=["EdDSA"], audience="lintel", issuer="lintel")
    assert claims["sub"] == made["userId"]
    assert EMAIL not in str(claims)


async def test_unknown_user_and_wrong_password_have_one_answer_and_one_comparison(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.register()
    compared: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, hash: str | bytes, password: str | bytes) -> bool:
        compared.append(str(hash))
        return verify(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    bodies = []
    for email, password in ((EMAIL, "wrong password"), ("nobody@example.com", PASSWORD)):
        answer = await world.post("/auth/login", email=email, password=password)
        assert problem(answer) == (401, "LOGIN_FAILED")
        bodies.append({k: v for k, v in answer.json().items() if k != "requestId"})
        assert len(compared) == 1
        parameters = compared.pop().split("$")[2:4]
        assert parameters == ["v=19", "m=19456,t=2,p=1"]
    assert bodies[0] == bodies[1]


async def test_a_refresh_token_works_once_and_reuse_ends_the_family(world: World) -> None:
    await world.register()
    first = await world.login()
    other = await world.login()
    second = (await world.post("/auth/refresh", refresh_token=first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert await world.works(second["access_token"])
    third = (await world.post("/auth/refresh", refresh_token=second["refresh_token"])).json()
    reused = await world.post("/auth/refresh", refresh_token=first["refresh_token"])
    assert problem(reused) == (401, "UNAUTHENTICATED")
    dead = await world.post("/auth/refresh", refresh_token=third["refresh_token"])
    assert problem(dead) == (401, "UNAUTHENTICATED")
    assert "sign in again" in dead.json()["detail"] and dead.json()["detail"] == reused.json()["detail"]
    await die(world, first["access_token"], second["access_token"], third["access_token"])
    assert await world.works(other["access_token"])  # another family
    query = "SELECT count(*) FROM orgs.audit_log WHERE action = 'session.reuse'"
    assert await world.owner.fetchval(query) == 1
    assert (await world.post("/auth/refresh", refresh_token=other["refresh_token"])).status_code == 200


async def test_of_two_who_bring_a_token_at_once_one_gets_new_ones_and_the_family_ends(world: World) -> None:
    await world.register()
    tokens = await world.login()
    answers = await asyncio.gather(
        *(world.post("/auth/refresh", refresh_token=tokens["refresh_token"]) for _ in range(5))
    )
    assert sorted(a.status_code for a in answers) == [200, 401, 401, 401, 401]
    (won,) = [a.json() for a in answers if a.status_code == 200]
    assert (await world.post("/auth/refresh", refresh_token=won["refresh_token"])).status_code == 401


async def test_refresh_tokens_and_sessions_have_an_end(world: World) -> None:
    await world.register()
    tokens = await world.login()
    world.clock.ahead = timedelta(days=6, hours=23)
    tokens = (await world.post("/auth/refresh", refresh_token=tokens["refresh_token"])).json()
    for days in (13, 19, 25, 29):  # each within a week of the one before
        world.clock.ahead = timedelta(days=days)
        answer = await world.post("/auth/refresh", refresh_token=tokens["refresh_token"])
        assert answer.status_code == 200
        tokens = answer.json()
    world.clock.ahead = timedelta(days=30, seconds=1)
    answer = await world.post("/auth/refresh", refresh_token=tokens["refresh_token"])
    assert problem(answer) == (401, "UNAUTHENTICATED")


async def test_an_unused_refresh_token_ends_after_a_week(world: World) -> None:
    await world.register()
    tokens = await world.login()
    world.clock.ahead = timedelta(days=7, seconds=1)
    assert (await world.post("/auth/refresh", refresh_token=tokens["refresh_token"])).status_code == 401


async def test_what_is_no_refresh_token_is_refused(world: World) -> None:
    for token in ("x", "lintel_refresh_" + "A" * 43, "é", "lintel_" + "A" * 43, world.mesh.local.key):
        assert problem(await world.post("/auth/refresh", refresh_token=token)) == (401, "UNAUTHENTICATED")


async def test_an_access_token_does_not_refresh(world: World) -> None:
    await world.register()
    token = (await world.login())["access_token"]
    assert (await world.post("/auth/refresh", refresh_token=token)).status_code in (400, 401)


async def test_logout_ends_the_session(world: World) -> None:
    await world.register()
    tokens, other = await world.login(), await world.login()
    answer = await world.post("/auth/logout", tokens["access_token"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await world.post("/auth/refresh", refresh_token=tokens["refresh_token"])).status_code == 401
    await die(world, tokens["access_token"])
    assert await world.works(other["access_token"])
    by_token = await world.post("/auth/logout", other["access_token"], refresh_token=other["refresh_token"])
    assert by_token.status_code == 204
    await die(world, other["access_token"])
    assert problem(await world.post("/auth/logout")) == (401, "UNAUTHENTICATED")
    assert (await world.post("/auth/logout", world.mesh.local.key)).status_code == 204  # has none to end


async def test_nobody_ends_the_session_of_another(open_world: World) -> None:
    await open_world.register()
    await open_world.register("eve@example.com")
    victim, eve = await open_world.login(), await open_world.login("eve@example.com")
    answer = await open_world.post("/auth/logout", eve["access_token"], refresh_token=victim["refresh_token"])
    assert answer.status_code == 204
    assert (await open_world.post("/auth/refresh", refresh_token=victim["refresh_token"])).status_code == 200


@pytest.mark.parametrize("state", ["DISABLED", "REMOVED"])
async def test_a_disabled_user_s_tokens_and_keys_die(world: World, state: str) -> None:
    made = await world.register()
    tokens = await world.login()
    key = await api_key(world, tokens["access_token"])
    assert await world.works(tokens["access_token"])
    assert await world.works(key)
    await world.set_member(made["userId"], state=state)
    await die(world, tokens["access_token"], key)
    assert problem(await world.post("/auth/login", email=EMAIL, password=PASSWORD)) == (401, "LOGIN_FAILED")
    assert (await world.post("/auth/refresh", refresh_token=tokens["refresh_token"])).status_code == 401
    await world.set_member(made["userId"], state="ACTIVE")
    # The refresh ended its session; the key is the user's, and works again with them.
    await until(lambda: world.works(key))
    assert not await world.works(tokens["access_token"])


async def test_a_changed_role_counts_at_once_for_tokens_and_keys(world: World) -> None:
    made = await world.register()
    tokens = await world.login()
    key = await api_key(world, tokens["access_token"])
    for credential in (tokens["access_token"], key):
        assert (await world.get("/organization", credential)).status_code == 200
    await world.set_member(made["userId"], role="contributor")

    async def refused() -> bool:
        answers = [
            await world.post("/auth/password-reset-links", credential, email=EMAIL)
            for credential in (tokens["access_token"], key)
        ]
        return [answer.status_code for answer in answers] == [403, 403]

    await until(refused)


async def test_orgs_ends_sessions_and_keys(world: World) -> None:
    made = await world.register()
    tokens = await world.login()
    key = await api_key(world, tokens["access_token"])
    ended = await world.end_sessions(made["organizationId"], made["userId"])
    assert (ended.sessions, ended.api_keys) == (1, 0)
    await die(world, tokens["access_token"])
    assert await world.works(key)
    ended = await world.end_sessions(made["organizationId"], made["userId"], keys=True)
    assert (ended.sessions, ended.api_keys) == (0, 1)
    await die(world, key)


async def test_sessions_of_another_organisation_can_not_be_ended(world: World) -> None:
    made = await world.register()
    tokens = await world.login()
    ended = await world.end_sessions(str(uuid4()), made["userId"], keys=True)
    assert (ended.sessions, ended.api_keys) == (0, 0)
    assert (await world.post("/auth/refresh", refresh_token=tokens["refresh_token"])).status_code == 200


async def test_a_token_of_a_foreign_key_or_for_no_session_is_refused(world: World) -> None:
    made = await world.register()
    good = (await world.login())["access_token"]
    claims = jwt.decode(good, options={"verify_signature": False})
    foreign = Ed25519PrivateKey.generate()
    stolen = Claims(UUID(made["userId"]), UUID(claims["sid"]))
    ours = jwt.get_unverified_header(good)["kid"]
    for kid in (key_id(foreign.public_key().public_bytes_raw()), ours):
        assert not await world.works(sign(foreign, kid, stolen, int(time.time()), "x"))
    assert await world.works(good)


async def test_an_older_hash_is_made_anew_at_login(world: World) -> None:
    made = await world.register()
    older = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    await world.owner.execute("UPDATE auth.users SET password_hash = $1", await older.hash(PASSWORD))
    older.close()
    await world.login()
    stored = await world.owner.fetchval("SELECT password_hash FROM auth.users WHERE email = $1", made["email"])
    assert "m=19456,t=2,p=1" in stored
    await world.login()


async def test_what_is_over_is_swept(world: World) -> None:
    await world.register()
    await world.login()
    await world.login()
    await world.owner.execute(
        "UPDATE auth.sessions SET expire_time = now() - interval '2 days' "
        "WHERE session_id = (SELECT min(session_id::text)::uuid FROM auth.sessions)"
    )
    async with Pool(world.mesh.database.app_dsn, "auth", max_size=1) as pool:
        await SessionStore(pool).sweep()
    assert await world.owner.fetchval("SELECT count(*) FROM auth.sessions") == 1
    assert await world.owner.fetchval("SELECT count(*) FROM auth.refresh_tokens") == 1
