"""Vertex AI: the token endpoint for service accounts, Gemini and Claude, each at its own addresses."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from emulators.anthropic.emulator import AnthropicEmulator
from emulators.anthropic.shapes import Abilities
from emulators.github.incoming import Incoming
from emulators.google.emulator import GeminiEmulator
from emulators.google.shapes import Knows
from emulators.models.core import json_reply
from emulators.models.said import Failed, Reply

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GEMINI = r"publishers/google/models/([^/:]+):(generateContent|streamGenerateContent)"
_CLAUDE = r"publishers/anthropic/models/([^/:]+):(rawPredict|streamRawPredict)"


class VertexEmulator(GeminiEmulator):
    """Serves one project in one location, for `account` (the JSON of a service account), or `key` for Gemini."""

    def __init__(
        self,
        answers: Callable[[Any], Any] | Iterable[Any] = (),
        *,
        key: str | None = "emulated-key",
        models: Sequence[str] = ("gemini-test", "claude-test"),
        knows: Knows | None = None,
        abilities: Abilities | None = None,
        project: str = "emulated-project",
        location: str = "europe-west4",
    ) -> None:
        super().__init__(answers, key=key, models=models, knows=knows)
        self.project = project
        self.location = location
        self.tokens: set[str] = set()
        self.token_reply: Reply | None = None
        self.token_calls = 0
        self._claude = AnthropicEmulator((), models=models, abilities=abilities)
        self._claude.share(self)

    @property
    def token_url(self) -> str:
        """Where tokens are given out."""
        return f"{self.origin}/token"

    @property
    def account(self) -> str:
        """The JSON of the service account; its `token_uri` is an address that nobody may call."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": self.project,
                "private_key_id": "emulated-key-id",
                "private_key": _pem(),
                "client_email": f"lintel@{self.project}.iam.gserviceaccount.com",
                "token_uri": "http://169.254.169.254/token",
            }
        )

    @property
    def encoded_account(self) -> str:
        """The same in base64, as it stands in an environment variable."""
        return base64.b64encode(self.account.encode()).decode()

    def respond(self, incoming: Incoming) -> tuple[Reply, Any]:
        """Answer a request, and what was understood of it."""
        if (incoming.method, incoming.path) == ("POST", "/token"):
            self.token_calls += 1
            return self.token_reply or self._token(incoming), None
        has_token = incoming.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens
        has_key = self.key is not None and incoming.headers.get("x-goog-api-key") == self.key
        if not has_token and not has_key:
            return self.fail(Failed(401, "permission", "Request had invalid authentication credentials.")), None
        place = f"projects/{self.project}/locations/{self.location}/" if has_token else ""
        if (incoming.method, incoming.path) == ("GET", "/v1beta1/publishers/google/models"):
            return self._models(), None
        if incoming.method == "POST" and (found := re.fullmatch(f"/v1beta1/{place}{_GEMINI}", incoming.path)):
            return self.generate(incoming, found[1], found[2])
        if incoming.method == "POST" and (found := re.fullmatch(f"/v1/{place}{_CLAUDE}", incoming.path)):
            reply, asked = self._claude.messages(incoming, found[1])
            if asked is not None and asked.stream != (found[2] == "streamRawPredict"):
                return self.refuse(400, "bad_request", "stream does not fit the method"), asked
            return reply, asked
        return self.refuse(404, "not_found", f"no such route: {incoming.method} {incoming.path}"), None

    def _models(self) -> Reply:
        if self.models_reply is not None:
            return self.listed("")
        own = [m for m in self.models if m.startswith("gemini")]
        return json_reply({"publisherModels": [{"name": f"publishers/google/models/{m}"} for m in own]})

    def _token(self, incoming: Incoming) -> Reply:
        form = {name: values[0] for name, values in parse_qs(incoming.body.decode()).items()}
        wrong = json_reply({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        if form.get("grant_type") != _GRANT or set(form) != {"grant_type", "assertion"}:
            self.violations.append("the token was asked for in the wrong form")
            return wrong
        try:
            claims = jwt.decode(form["assertion"], _key().public_key(), ["RS256"], audience=self.token_url)
        except jwt.PyJWTError:
            return wrong
        if claims.get("scope") != _SCOPE or claims["exp"] - claims["iat"] > 3600:
            self.violations.append("the assertion has the wrong scope or lives too long")
            return wrong
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self.tokens.add(token)
        return json_reply({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _pem() -> str:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return _key().private_bytes(*form).decode()
