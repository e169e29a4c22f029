"""A canary in every secret: none of them sings in a log, an error, a trace or the database."""

import io
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from emulators.oidc import OidcEmulator, Person
from services.kit.telemetry import log, trace
from tests.integration.auth.conftest import EMAIL, World, running_world
from tests.integration.auth.test_sso import REDIRECT, Sso
from tests.support.mesh import CRYPTO_KEY, JWT_SECRET
from tests.support.postgres import Database
from tests.support.system import until

PASSWORD, NEW, WRONG = "canary-Passw0rd-1", "canary-Passw0rd-2", "canary-Passw0rd-3"
CLIENT_SECRET = "canary-Client-Secret-4"
TABLES = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('auth', 'orgs')"


@dataclass
class Watched:
    """What the system let out: its logs, spans and answers."""

    world: World
    provider: OidcEmulator
    logs: io.StringIO
    spans: InMemorySpanExporter
    answers: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=lambda: {PASSWORD, NEW, WRONG, CLIENT_SECRET, CRYPTO_KEY, JWT_SECRET})

    async def post(self, path: str, bearer: str = "", **body: Any) -> dict[str, Any]:
        answer = await self.world.post(path, bearer, **body)
        if answer.is_error:
            self.answers.append(answer.text + str(answer.headers))
        found: dict[str, Any] = answer.json() if answer.content else {}
        self.secrets |= {v for k, v in found.items() if k in ("access_token", "refresh_token", "key", "state")}
        self.secrets |= {found["link"].partition("token=")[2]} if "link" in found else set()
        return found


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The process's log at its most talkative."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    log.setup("debug")
    root.setLevel(logging.DEBUG)  # of libraries too, which production does not do
    yield written
    root.handlers[:], level = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def watched(database: Database, logs: io.StringIO) -> AsyncIterator[Watched]:
    spans = InMemorySpanExporter()
    trace.setup("canaries", [SimpleSpanProcessor(spans)])
    async with (
        OidcEmulator(client_secret=CLIENT_SECRET, redirect_uri=REDIRECT) as provider,
        running_world(database, {"LINTEL_SSO_ISSUERS": provider.issuer}) as world,
    ):
        yield Watched(world, provider, logs, spans)


async def use_everything(watched: Watched) -> None:
    """Every way in and out, right and wrong."""
    post, world = watched.post, watched.world
    made = await post("/auth/register", email=EMAIL, password=PASSWORD, name="Ada")
    await post("/auth/register", email=EMAIL, password=PASSWORD, name="Ada")
    await post("/auth/register", email=EMAIL, password=PASSWORD, name="", token=PASSWORD)
    await post("/auth/login", email=EMAIL, password=WRONG)
    tokens = await post("/auth/login", email=EMAIL, password=PASSWORD)
    key = (await post("/auth/api-keys", tokens["access_token"], name="ci"))["key"]
    assert await world.works(key)
    assert await world.works(tokens["access_token"])
    again = await post("/auth/refresh", refresh_token=tokens["refresh_token"])
    await post("/auth/refresh", refresh_token=tokens["refresh_token"])
    await post("/auth/logout", again["access_token"])
    assert not await world.works(again["access_token"] + "x")
    token = await world.invite(made["organizationId"], "grace@example.com")
    watched.secrets.add(token)
    await post("/user/invite/accept", token=token, password=PASSWORD, name="Grace")
    await post("/user/invite/accept", token=token, password=PASSWORD)
    link = (await post("/auth/password-reset-links", world.mesh.local.key, email=EMAIL))["link"]
    reset = link.partition("token=")[2]
    await post("/auth/reset-password", token=reset, password="x" * 7)
    await post("/auth/reset-password", token=reset, password=NEW)
    await post("/auth/reset-password", token=reset, password=NEW)
    watched.secrets.add(world.mesh.local.key)


async def use_single_sign_on(watched: Watched) -> None:
    sso = Sso(watched.world, watched.provider, watched.world.mesh.local.key, "")
    assert (await sso.configure()).status_code == 200
    watched.answers.append((await sso.configure(clientSecret="")).text)
    for wrong in (None, "wrong-nonce", "alg-none", "status-500", "not-json"):
        started = await watched.post("/auth/sso/start")
        location = watched.provider.sign_in(started["authorizationUrl"], Person("s", "sso@example.com"))
        watched.provider.misbehaves = {wrong} if wrong else set()
        code = location.partition("code=")[2].partition("&")[0]
        answer = await sso.callback(location)
        watched.secrets.add(code)
        if answer.is_error:
            watched.answers.append(answer.text)
        else:
            watched.secrets |= {answer.json()["access_token"], answer.json()["refresh_token"]}
        watched.provider.misbehaves = set()


async def test_no_secret_is_let_out(watched: Watched) -> None:
    await use_everything(watched)
    await use_single_sign_on(watched)

    async def written() -> bool:
        return "/lintel.auth.v1.SsoService/CompleteSso" in watched.logs.getvalue()

    await until(written)
    shown = {
        "logs": watched.logs.getvalue(),
        "spans": json.dumps([json.loads(span.to_json()) for span in watched.spans.get_finished_spans()]),
        "answers": "\n".join(watched.answers),
        "database": "",
    }
    for row in await watched.world.owner.fetch(TABLES):
        shown["database"] += str([tuple(r) for r in await watched.world.owner.fetch(f"SELECT * FROM {row[0]}")])
    assert len(watched.secrets) > 20
    assert all(len(text) > 1000 for text in shown.values()), {name: len(text) for name, text in shown.items()}
    assert "AuthService/Login" in shown["logs"]
    assert "AuthService/Login" in shown["spans"]
    found = [(name, secret[:18]) for name, text in shown.items() for secret in watched.secrets if secret in text]
    assert found == []
