"""New secrets in place of the old ones: nobody is signed out, nothing stored is lost, and in the end the old may go."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from emulators.oidc import OidcEmulator, Person
from services.auth.config import SigningSettings
from services.kit.config import ConfigError, load
from tests.integration.auth.conftest import World, running_world
from tests.integration.auth.test_sso import REDIRECT, Sso
from tests.support.mesh import CRYPTO_KEY, JWT_SECRET
from tests.support.postgres import Database

ROOT = Path(__file__).resolve().parents[3]
NEW_CRYPTO = "0a9b8c7d6e5f40312213f4e5d6c7b8a9918273645546372819fae0d1c2b3a495"
NEW_JWT = "m5Kp9Xw2Tz7Rb4Yc8Nd3Vf6Hj1Lq0Sg-"
ROTATING = {
    "API_CRYPTO_KEY": NEW_CRYPTO,
    "API_CRYPTO_KEY_PREVIOUS": CRYPTO_KEY,
    "API_JWT_SECRET": NEW_JWT,
    "API_JWT_SECRET_PREVIOUS": JWT_SECRET,
}
ROTATED = {"API_CRYPTO_KEY": NEW_CRYPTO, "API_JWT_SECRET": NEW_JWT}


async def restarted(stack: AsyncExitStack, database: Database, environment: dict[str, str], issuer: str) -> World:
    """Start the system again; the local key is made anew each time, as its start expects."""
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("UPDATE auth.api_keys SET delete_time = now()")
    await owner.close()
    return await stack.enter_async_context(running_world(database, {"LINTEL_SSO_ISSUERS": issuer, **environment}))


async def reencrypt(database: Database, environment: dict[str, str]) -> tuple[int | None, str]:
    """Run the command; answers its status and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.reencrypt"),
        env={"PATH": os.environ.get("PATH", os.defpath), "DATABASE_URL": database.app_dsn, **environment}
        | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos/gen'}"},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_a_rotation_from_beginning_to_end(database: Database) -> None:
    person = Person("s-1", "grace@example.com")
    async with OidcEmulator(redirect_uri=REDIRECT) as provider:
        async with running_world(database, {"LINTEL_SSO_ISSUERS": provider.issuer}) as world:
            await world.register()
            tokens = await world.login()
            sso = Sso(world, provider, tokens["access_token"], "")
            assert (await sso.configure()).status_code == 200
        async with AsyncExitStack() as stack:
            world = await restarted(stack, database, ROTATING, provider.issuer)
            assert await world.works(tokens["access_token"])
            keys = (await world.get("/.well-known/jwks.json")).json()["keys"]
            assert len({key["kid"] for key in keys}) == 2
            assert (await Sso(world, provider, "", "").sign_in(person)).status_code == 200
            status, told = await reencrypt(database, ROTATING)
            assert (status, "auth: 1 written anew" in told) == (0, True), told
            assert "auth: 0 written anew" in (await reencrypt(database, ROTATING))[1]
            assert (await Sso(world, provider, "", "").sign_in(person)).status_code == 200
            tokens = (await world.post("/auth/refresh", refresh_token=tokens["refresh_token"])).json()
        async with AsyncExitStack() as stack:
            world = await restarted(stack, database, ROTATED, provider.issuer)
            assert await world.works(tokens["access_token"])  # signed by the new key
            assert (await Sso(world, provider, "", "").sign_in(person)).status_code == 200
        async with AsyncExitStack() as stack:
            other = {"API_CRYPTO_KEY": CRYPTO_KEY, "API_JWT_SECRET": JWT_SECRET}
            world = await restarted(stack, database, other, provider.issuer)
            assert not await world.works(tokens["access_token"])  # of a key that is not listed any more
            status, told = await reencrypt(database, other)
            assert status == 1
            assert "list that key in API_CRYPTO_KEY_PREVIOUS" in told
            assert "Traceback" not in told


@pytest.mark.parametrize(
    "secret",
    [
        *("", "short", "x" * 31, "x" * 64, "0123456789abcdef" * 4, "your-256-bit-secret-your-256-bit-secret"),
        *("a-string-secret-at-least-256-bits-long", "changeme-changeme-changeme-changeme", "ab" * 20),
        *("your-super-secret-jwt-token-with-at-least-32-characters-long", "super_secret_key_0123456789_abcdefg"),
        *("my-secret-key-for-jwt-signing-1234567890", "replace-me-with-something-random-123456"),
    ],
)
def test_secrets_that_anybody_could_guess_are_refused(secret: str) -> None:
    with pytest.raises(ConfigError, match="API_JWT_SECRET") as caught:
        load(SigningSettings, {"API_JWT_SECRET": secret})
    assert not secret or secret not in str(caught.value)
    if secret:
        with pytest.raises(ConfigError, match="API_JWT_SECRET_PREVIOUS"):
            load(SigningSettings, {"API_JWT_SECRET": JWT_SECRET, "API_JWT_SECRET_PREVIOUS": secret})


def test_random_secrets_are_taken() -> None:
    for _ in range(200):
        load(SigningSettings, {"API_JWT_SECRET": os.urandom(32).hex()})
