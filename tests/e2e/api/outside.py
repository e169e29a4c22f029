"""What is around the system: a model, an identity provider, a mail server, a code host that is always busy, traces."""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from emulators.oidc import OidcEmulator, Person
from emulators.openai import OpenAIEmulator
from tests.integration.llm_gateway.collector import Received, collecting

MODEL = "canary-model"
EMAIL, SSO_EMAIL = "ada@example.com", "grace@sso.example.com"


@dataclass(frozen=True)
class Secrets:
    """What must be seen nowhere but where it is used; none of them is like another."""

    password: str = field(default_factory=lambda: f"canary-password-{token_hex(8)}")
    changed_password: str = field(default_factory=lambda: f"canary-changed-{token_hex(8)}")
    model_key: str = field(default_factory=lambda: f"canary-model-key-{token_hex(16)}")
    environment_key: str = field(default_factory=lambda: f"canary-environment-{token_hex(16)}")
    webhook: str = field(default_factory=lambda: f"canary-webhook-{token_hex(16)}")
    host_token: str = field(default_factory=lambda: f"canary-host-token-{token_hex(16)}")
    client_secret: str = field(default_factory=lambda: f"canary-client-{token_hex(16)}")
    smtp_password: str = field(default_factory=lambda: f"canary-smtp-{token_hex(8)}")
    idempotency_key: str = field(default_factory=lambda: f"canary-idempotency-{token_hex(8)}")


@dataclass
class Outside:
    """Everything that the system talks to, and what each of them was told."""

    secrets: Secrets
    model: OpenAIEmulator
    oidc: OidcEmulator
    traces: list[Received]
    traces_url: str
    loop: asyncio.AbstractEventLoop
    host_url: str
    host_credentials: list[str]  # what the code host was called with
    says: Callable[[Any], Any]  # by the model
    smtp_port: int = 0
    mails: list[tuple[str, str]] = field(default_factory=list)
    smtp_logins: list[tuple[str, str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """How the system is told of all this."""
        return {
            "API_LOG_LEVEL": "debug",
            "GITHUB_TOKEN": self.secrets.host_token,
            "GITHUB_WEBHOOK_SECRET": self.secrets.webhook,
            "LINTEL_GITHUB_API_URL": self.host_url,
            "LINTEL_OPEN_REGISTRATION": "true",
            "LINTEL_SMTP_URL": f"smtp://mailer:{self.secrets.smtp_password}@127.0.0.1:{self.smtp_port}?from=lintel@example.com",
            "LINTEL_SSO_ISSUERS": self.oidc.issuer,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.traces_url,
        }

    def sign_in(self, authorization_url: str) -> str:
        """Do what a browser does at the identity provider; answers where it is sent back to."""
        return self.oidc.sign_in(authorization_url, Person("s-grace", SSO_EMAIL, "Grace"))

    def token_mailed_to(self, address: str, pattern: str) -> str:
        """Answer what the newest mail to somebody holds, once it is there."""
        found: list[str] = []

        async def look() -> None:
            async with asyncio.timeout(30):
                while not found:
                    texts = [text for to, text in self.mails if to == address]
                    found.extend(match[1] for text in reversed(texts) if (match := re.search(pattern, text)))
                    await asyncio.sleep(0.02)

        asyncio.run_coroutine_threadsafe(look(), self.loop).result()
        return found[0]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail."""
        message: Any = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append((message["To"], message.get_content()))
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        """Let the system's own login in."""
        assert isinstance(data, LoginPassword)
        self.smtp_logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=self.smtp_logins[-1] == ("mailer", self.secrets.smtp_password))


def nothing_found(_: Any) -> str:
    """Answer what a model says that finds nothing, or judges nothing."""
    return json.dumps({"findings": [], "verdicts": []})


@contextmanager
def busy_host() -> Iterator[tuple[str, list[str]]]:
    """Serve a code host that can answer nothing now; gives its address and the credentials that it was called with."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("authorization", ""))
            self.send_response(503)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def outside() -> Iterator[Outside]:
    """Run all of it until the block ends."""
    secrets = Secrets()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(step: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(step, loop).result(60)

    stack = AsyncExitStack()
    with collecting() as traces, busy_host() as host:
        found = run(_start(stack, secrets, traces, host, loop))
        try:
            yield found
        finally:
            run(stack.aclose())
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _start(
    stack: AsyncExitStack,
    secrets: Secrets,
    traces: tuple[str, list[Received]],
    host: tuple[str, list[str]],
    loop: asyncio.AbstractEventLoop,
) -> Outside:
    model = OpenAIEmulator(lambda asked: made.says(asked), key=secrets.model_key, models=[MODEL])
    await stack.enter_async_context(model)
    oidc = OidcEmulator(client_secret=secrets.client_secret)
    await stack.enter_async_context(oidc)
    made = Outside(secrets, model, oidc, traces[1], traces[0], loop, *host, nothing_found)
    options: dict[str, Any] = {"authenticator": made.authenticate, "auth_require_tls": False}
    server = await loop.create_server(lambda: SMTP(made, **options), "127.0.0.1", 0)
    await stack.enter_async_context(server)
    made.smtp_port = server.sockets[0].getsockname()[1]
    return made
