"""A forgotten password: by mail, or by a link that an owner passes on; and nobody learns who has an account."""

import asyncio
import base64
import hashlib
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from services.kit import mail
from services.kit.mail import Mailer, check_smtp_url
from tests.integration.auth.conftest import EMAIL, PASSWORD, World, problem, running_world
from tests.support.postgres import Database
from tests.support.system import until

NEW = "a new password"
LINK = re.compile(r"http://127\.0\.0\.1:3001/reset-password#token=(lintel_reset_[A-Za-z0-9]{43})")


class Inbox:
    """What a mail server took, and by whom."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.logins: list[tuple[str, str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message: Any = message_from_bytes(envelope.content, policy=policy.default)
        self.texts.append((message["To"], message.get_content()))
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=self.logins[-1] == ("mailer", "p@ss word"))


async def listening(inbox: Inbox, **options: Any) -> tuple[asyncio.Server, int]:
    socket_tls = options.pop("tls", None)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(inbox, **options), "127.0.0.1", 0, ssl=socket_tls
    )
    return server, server.sockets[0].getsockname()[1]


@pytest.fixture
async def inbox(database: Database) -> AsyncIterator[tuple[World, Inbox]]:
    found = Inbox()
    server, port = await listening(found)
    async with server, running_world(database, {"LINTEL_SMTP_URL": f"smtp://127.0.0.1:{port}"}) as world:
        yield world, found


async def token_of(inbox: Inbox, number: int = 1) -> str:
    async def arrived() -> bool:
        return len(inbox.texts) >= number

    await until(arrived)
    match = LINK.search(inbox.texts[number - 1][1])
    assert match
    return match[1]


async def test_the_mailed_link_sets_a_new_password_once_and_ends_every_session(inbox: tuple[World, Inbox]) -> None:
    world, mails = inbox
    await world.register()
    tokens = await world.login()
    answer = await world.post("/auth/forgot-password", email=" ADA@example.com ")
    assert (answer.status_code, answer.json()) == (200, {})
    token = await token_of(mails)
    assert mails.texts[0][0] == EMAIL
    await world.login()  # the old password holds until the link is used
    assert (await world.post("/auth/reset-password", token=token, password="short")).status_code == 400
    assert (await world.post("/auth/reset-password", token=token, password=NEW)).status_code == 200
    assert problem(await world.post("/auth/login", email=EMAIL, password=PASSWORD)) == (401, "LOGIN_FAILED")
    await world.login(password=NEW)
    assert (await world.post("/auth/refresh", refresh_token=tokens["refresh_token"])).status_code == 401

    async def is_dead() -> bool:
        return not await world.works(tokens["access_token"])

    await until(is_dead)
    assert problem(await world.post("/auth/reset-password", token=token, password="another one")) == (
        400,
        "LINK_INVALID",
    )


async def test_links_end_after_an_hour_and_with_the_next_one(inbox: tuple[World, Inbox]) -> None:
    world, mails = inbox
    await world.register()
    for number in (1, 2):
        await world.post("/auth/forgot-password", email=EMAIL)
        await token_of(mails, number)
    first, second = await token_of(mails, 1), await token_of(mails, 2)
    assert problem(await world.post("/auth/reset-password", token=first, password=NEW)) == (400, "LINK_INVALID")
    world.clock.ahead = timedelta(hours=1, seconds=1)
    assert problem(await world.post("/auth/reset-password", token=second, password=NEW)) == (400, "LINK_INVALID")


async def test_nobody_learns_who_has_an_account_and_nobody_is_flooded(inbox: tuple[World, Inbox]) -> None:
    world, mails = inbox
    await world.register()
    known = await world.post("/auth/forgot-password", email=EMAIL)
    unknown = await world.post("/auth/forgot-password", email="nobody@example.com")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert set(known.headers) == set(unknown.headers)
    for _ in range(5):
        assert (await world.post("/auth/forgot-password", email=EMAIL)).status_code == 200
    await world.post("/auth/forgot-password", email="somebody@example.com")
    await token_of(mails, 3)
    assert [to for to, _ in mails.texts] == [EMAIL] * 3  # three, however often they are asked for


async def test_an_address_that_asks_again_and_again_waits(inbox: tuple[World, Inbox]) -> None:
    world, _ = inbox
    answers = [await world.post("/auth/forgot-password", email=f"u{i}@example.com") for i in range(21)]
    assert {a.status_code for a in answers[:-1]} == {200}
    assert problem(answers[-1]) == (429, "TOO_MANY_ATTEMPTS")


async def test_without_mail_an_owner_passes_the_link_on(world: World) -> None:
    await world.register()
    assert (await world.post("/auth/forgot-password", email=EMAIL)).status_code == 200
    answer = await world.post("/auth/password-reset-links", world.mesh.local.key, email=EMAIL)
    assert answer.status_code == 201
    match = LINK.fullmatch(answer.json()["link"])
    assert match
    assert (await world.post("/auth/reset-password", token=match[1], password=NEW)).status_code == 200
    await world.login(password=NEW)
    rows = await world.owner.fetch("SELECT actor_kind, action FROM orgs.audit_log ORDER BY sequence DESC LIMIT 2")
    assert [tuple(row) for row in rows] == [("user", "password.update"), ("installation", "password_link.create")]
    stored = str(await world.owner.fetch("SELECT * FROM auth.password_resets"))
    assert match[1] not in stored
    unknown = await world.post("/auth/password-reset-links", world.mesh.local.key, email="nobody@example.com")
    assert problem(unknown) == (404, "NOT_FOUND")


async def test_a_link_is_for_users_of_the_caller_s_organisation(open_world: World) -> None:
    await open_world.register()
    await open_world.register("eve@example.com")
    eve = (await open_world.login("eve@example.com"))["access_token"]
    answer = await open_world.post("/auth/password-reset-links", eve, email=EMAIL)
    assert problem(answer) == (404, "NOT_FOUND")


async def test_a_throttled_account_is_free_after_a_reset(world: World) -> None:
    await world.register()
    for _ in range(10):
        await world.post("/auth/login", email=EMAIL, password="wrong")
    assert (await world.post("/auth/login", email=EMAIL, password=PASSWORD)).status_code == 429
    link = (await world.post("/auth/password-reset-links", world.mesh.local.key, email=EMAIL)).json()["link"]
    await world.post("/auth/reset-password", token=link.partition("token=")[2], password=NEW)
    await world.login(password=NEW)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody but this test vouches for."""
    directory = tmp_path_factory.mktemp("tls")
    key, made = directory / "key.pem", directory / "cert.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(made)),
        ],
        check=True,
        capture_output=True,
    )
    return made, key


@pytest.mark.parametrize("security", ["starttls", "smtps"])
async def test_mail_goes_encrypted_with_a_login(certificate: tuple[Path, Path], security: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    inbox = Inbox()
    # aiosmtpd knows of TLS only where STARTTLS began it.
    implicit = {"tls": context, "auth_require_tls": False}
    tls = implicit if security == "smtps" else {"tls_context": context, "auth_required": True}
    server, port = await listening(inbox, authenticator=inbox.authenticate, **tls)
    async with server:
        url = f"{security}://mailer:p%40ss%20word@127.0.0.1:{port}?from=lintel@example.com"
        trusting = Mailer(check_smtp_url(url), lambda: ssl.create_default_context(cafile=str(certificate[0])))
        assert await trusting.send("a@example.com", "s", "text")
        assert [to for to, _ in inbox.texts] == ["a@example.com"]
        assert inbox.logins == [("mailer", "p@ss word")]
        assert not await Mailer(check_smtp_url(url)).send("a@example.com", "s", "t")  # nobody vouches for it
        wrong = Mailer(
            check_smtp_url(url.replace("p%40ss", "x")), lambda: ssl.create_default_context(cafile=str(certificate[0]))
        )
        assert not await wrong.send("a@example.com", "s", "t")
    assert len(inbox.texts) == 1


async def test_starttls_goes_no_further_where_it_is_not_offered() -> None:
    inbox = Inbox()
    server, port = await listening(inbox)
    async with server:
        assert not await Mailer(check_smtp_url(f"starttls://127.0.0.1:{port}")).send("a@example.com", "s", "t")
    assert inbox.texts == []
    assert mail.SECONDS > 0


@pytest.mark.parametrize(
    "url",
    [
        *("", "mailer", "http://host", "smtp://", "smtp://host/path", "smtp://host?to=x", "smtp://host:99999"),
        *("smtp://user:hunter2@mail.example.com", "smtp://host?from=nobody", "smtp://host?from=a@b%0Ac"),
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_smtp_url(url)
    assert "hunter2" not in str(caught.value)


async def test_the_page_of_the_link_runs_its_own_script_and_no_other(world: World) -> None:
    answer = await world.get("/reset-password")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    for kind in ("script", "style"):
        (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", answer.text, re.DOTALL)
        assert f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in answer.text.replace("http-equiv", "")
    assert answer.headers["referrer-policy"] == "no-referrer"
