"""An OpenID Connect provider on loopback: code flow with PKCE, to the letter; it can also be told to misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, unquote, urlencode

from emulators.github.incoming import Incoming, Message, Receive, Send
from emulators.github.listener import Listener
from emulators.oidc.keys import SigningKey, by_secret, unsigned

CODE_SECONDS = 60
TOKEN_SECONDS = 300
Misbehaviour = Literal[
    "wrong-nonce", "wrong-issuer", "wrong-audience", "other-azp", "expired", "alg-none", "alg-hs256", "unknown-kid",
    "foreign-key", "no-id-token", "other-issuer-metadata", "huge-answer", "not-json", "status-500",
]  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in, and what the provider says of them."""

    subject: str
    email: str
    name: str = "Ada"
    email_verified: object = True
    groups: tuple[str, ...] = ()


@dataclass
class _Code:
    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str
    person: Person
    expires: float
    used: bool = False


class _RefusedError(Exception):
    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description


@dataclass
class OidcEmulator:
    """One client at one provider. `violations` lists what clients did that a real provider refuses."""

    client_id: str = "lintel"
    client_secret: str = "a client secret: 100% + more"  # holds what needs encoding, on purpose  # noqa: S105
    redirect_uri: str = ""
    path: str = "/realms/acme"
    clock: Callable[[], float] = time.time
    misbehaves: set[Misbehaviour] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = Listener()
        self._keys = [SigningKey.make("key-1")]
        self._codes: dict[str, _Code] = {}

    @property
    def issuer(self) -> str:
        """The issuer, to the letter."""
        return self._listener.url + self.path

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listens; returns the issuer."""
        await self._listener.start(self, host, port)
        return self.issuer

    async def stop(self) -> None:
        """Stops listening."""
        await self._listener.stop()

    def rotate_key(self) -> None:
        """Signs with a new key from now on, and lists that one alone."""
        self._keys = [SigningKey.make(f"key-{int(self._keys[0].id[4:]) + 1}")]

    def sign_in(self, authorization_url: str, person: Person) -> str:
        """Does what the browser does with a person at the keyboard; returns where it is sent back to.

        ValueError where a real provider shows an error page instead.
        """
        address, _, query = authorization_url.partition("?")
        if address != f"{self.issuer}/authorize":
            raise ValueError(f"not the authorization endpoint: {address}")
        given = {name: values[0] for name, values in parse_qs(query, strict_parsing=True).items() if len(values) == 1}
        wanted = {"response_type": "code", "client_id": self.client_id, "redirect_uri": self.redirect_uri}
        for name, value in (wanted | {"code_challenge_method": "S256"}).items():
            if given.get(name) != value:
                self._violation(f"authorize: {name} is {given.get(name)!r}, not {value!r}")
        for name, least in (("state", 16), ("nonce", 16), ("code_challenge", 43)):
            if len(given.get(name, "")) < least:
                self._violation(f"authorize: {name} is missing or too short")
        if "openid" not in given.get("scope", "").split():
            self._violation("authorize: the scope lacks openid")
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(
            self.client_id,
            given["redirect_uri"],
            given["code_challenge"],
            given["nonce"],
            person,
            self.clock() + CODE_SECONDS,
        )
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': given['state'], 'iss': self.issuer})}"

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serves one request (ASGI)."""
        incoming = await Incoming.read(scope, receive)
        self.asked.append(f"{incoming.method} {incoming.path}")
        try:
            status, body = self._answer(incoming)
        except _RefusedError as refused:
            self.violations.append(refused.description)
            status, body = refused.status, {"error": refused.error, "error_description": refused.description}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    def _answer(self, incoming: Incoming) -> tuple[int, Any]:
        if "status-500" in self.misbehaves:
            return 500, {"error": "server_error"}
        if "not-json" in self.misbehaves:
            return 200, b"<html>"
        if "huge-answer" in self.misbehaves:
            return 200, b'{"x": "' + b"x" * 1_000_000 + b'"}'
        route = (incoming.method, incoming.path.removeprefix(self.path))
        if route == ("GET", "/.well-known/openid-configuration"):
            return 200, self._metadata()
        if route == ("GET", "/keys"):
            return 200, {"keys": [{"kty": "oct", "k": "AAAA", "kid": "symmetric"}, *(key.jwk for key in self._keys)]}
        if route == ("POST", "/token"):
            return 200, self._token(incoming)
        return 404, {"error": "not_found"}

    def _metadata(self) -> dict[str, Any]:
        issuer = self.issuer + ("x" if "other-issuer-metadata" in self.misbehaves else "")
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
        }

    def _token(self, incoming: Incoming) -> dict[str, Any]:
        if incoming.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise _RefusedError(400, "invalid_request", "token: not a form")
        form = {name: values[0] for name, values in parse_qs(incoming.body.decode(), strict_parsing=True).items()}
        self._check_client(incoming.headers.get("authorization", ""))
        if form.get("grant_type") != "authorization_code":
            raise _RefusedError(400, "unsupported_grant_type", "token: not an authorization code")
        code = self._codes.get(form.get("code", ""))
        if code is None or code.used or code.expires < self.clock():
            raise _RefusedError(400, "invalid_grant", "token: the code is unknown, used or expired")
        code.used = True
        if form.get("redirect_uri") != code.redirect_uri:
            raise _RefusedError(400, "invalid_grant", "token: another redirect URI than the code's")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code.challenge:
            raise _RefusedError(400, "invalid_grant", "token: the verifier does not fit the challenge")
        answer = {"access_token": secrets.token_urlsafe(24), "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return answer if "no-id-token" in self.misbehaves else answer | {"id_token": self._id_token(code)}

    def _check_client(self, authorization: str) -> None:
        scheme, _, encoded = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            user, password = "", ""
        if scheme != "Basic" or (unquote(user), unquote(password)) != (self.client_id, self.client_secret):
            raise _RefusedError(401, "invalid_client", "token: wrong client or secret")

    def _id_token(self, code: _Code) -> str:
        now, wrong, person = int(self.clock()), self.misbehaves, code.person
        claims = {
            "iss": self.issuer + ("x" if "wrong-issuer" in wrong else ""),
            "aud": "another-client" if "wrong-audience" in wrong else self.client_id,
            "sub": person.subject,
            "nonce": "another nonce" if "wrong-nonce" in wrong else code.nonce,
            "iat": now - (7200 if "expired" in wrong else 0),
            "exp": now - 3600 if "expired" in wrong else now + TOKEN_SECONDS,
            "email": person.email,
            "email_verified": person.email_verified,
            "name": person.name,
            "groups": list(person.groups),
        }
        if "other-azp" in wrong:
            claims |= {"aud": [self.client_id, "another-client"], "azp": "another-client"}
        key = self._keys[0]
        if "alg-none" in wrong:
            return unsigned(claims, key.id)
        if "alg-hs256" in wrong:
            return by_secret(claims, self.client_secret, key.id)
        if "foreign-key" in wrong:
            return SigningKey.make(key.id).sign(claims)
        return key.sign(claims, "nobody-s-key" if "unknown-kid" in wrong else None)

    def _violation(self, text: str) -> None:
        self.violations.append(text)
        raise ValueError(text)
