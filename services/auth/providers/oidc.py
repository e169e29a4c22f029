"""OpenID Connect Core 1.0 as a relying party: discovery, the code's exchange with PKCE, and the ID token."""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2
import jwt
from jwt import PyJWK
from jwt.exceptions import InvalidTokenError, PyJWKError

from services.auth.issuers import is_safe
from services.kit.errors import AppError, Reason
from services.kit.telemetry import log

SECONDS = 5.0
MAX_ANSWER = 256 * 1024  # bytes
KEPT_SECONDS = 300.0  # metadata and keys
KEYS_AGAIN_SECONDS = 5.0  # how often an unknown key id may make us ask anew
LEEWAY_SECONDS = 60
SCOPES = "openid email profile"
# Signatures only: a shared secret (HS256) would let whoever reads the configuration sign in as anybody.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_logger = log.get("oidc")


@dataclass(frozen=True, slots=True)
class Client:
    """What Lintel is at a provider."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is used of a provider's discovery document."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    posts_secret: bool  # the secret goes into the form, as the provider takes it nowhere else


class Provider:
    """Identity providers, each under its issuer; the operator has vouched for the issuers. `clock` counts seconds.

    Raises AppError: SSO_UNAVAILABLE if one does not answer or not as it should, SSO_REFUSED if it, or we, say no.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=SECONDS)
        self._clock = clock
        self._metadata: dict[str, tuple[Metadata, float]] = {}
        self._keys: dict[str, tuple[dict[str, PyJWK], float]] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def discover(self, issuer: str, *, fresh: bool = False) -> Metadata:
        """Answer a provider's metadata, at most five minutes old."""
        known, at = self._metadata.get(issuer, (None, 0.0))
        if known is not None and not fresh and self._clock() - at < KEPT_SECONDS:
            return known
        document = await self._json("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise _bad("its metadata names another issuer")
        methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        found = Metadata(
            authorization_endpoint=_endpoint(document, "authorization_endpoint"),
            token_endpoint=_endpoint(document, "token_endpoint"),
            jwks_uri=_endpoint(document, "jwks_uri"),
            posts_secret=isinstance(methods, list) and "client_secret_basic" not in methods,
        )
        self._metadata[issuer] = (found, self._clock())
        return found

    async def authorization_url(self, client: Client, state: str, nonce: str, challenge: str) -> str:
        """Answer where to send the browser."""
        metadata = await self.discover(client.issuer)
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "scope": SCOPES,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        return f"{metadata.authorization_endpoint}{joint}{urlencode(query)}"

    async def claims(self, client: Client, code: str, verifier: str, nonce: str) -> Mapping[str, Any]:
        """Exchange a code and answer the claims of its ID token, verified."""
        metadata = await self.discover(client.issuer)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        if metadata.posts_secret:
            form |= {"client_id": client.client_id, "client_secret": client.client_secret}
        else:
            headers["authorization"] = _basic(client)
        answer = await self._json("POST", metadata.token_endpoint, data=form, headers=headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise _bad("it answers no ID token")
        return self._checked(await self._decoded(token, client, metadata), client, nonce)

    async def _decoded(self, token: str, client: Client, metadata: Metadata) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            kid = header.get("kid", "")
            if header.get("alg") not in ALGORITHMS or not isinstance(kid, str):
                raise _refused("the ID token is not signed as it should be")
            key = await self._key(client.issuer, metadata, kid)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[header["alg"]],
                audience=client.client_id,
                issuer=client.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "sub", "exp", "iat", "nonce"]},
            )
        except InvalidTokenError as error:
            raise _refused(f"the ID token is not valid ({type(error).__name__})") from None
        return claims

    def _checked(self, claims: dict[str, Any], client: Client, nonce: str) -> dict[str, Any]:
        if claims["nonce"] != nonce:
            raise _refused("the ID token belongs to another sign-in")
        audience = claims["aud"]
        is_shared = isinstance(audience, list) and len(audience) > 1
        if (is_shared or "azp" in claims) and claims.get("azp") != client.client_id:
            raise _refused("the ID token is for another client")
        return claims

    async def _key(self, issuer: str, metadata: Metadata, kid: str) -> PyJWK:
        keys, at = self._keys.get(issuer, ({}, float("-inf")))
        age = self._clock() - at
        if age >= KEPT_SECONDS or (kid not in keys and age >= KEYS_AGAIN_SECONDS):
            keys = _keys(await self._json("GET", metadata.jwks_uri))
            self._keys[issuer] = (keys, self._clock())
        if kid in keys:
            return keys[kid]
        if not kid and len(keys) == 1:  # a provider with one key need not name it
            return next(iter(keys.values()))
        raise _refused("the ID token is signed with a key that the provider does not list")

    async def _json(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        try:
            async with self._http.stream(method, url, **more) as answer:
                body = b""
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > MAX_ANSWER:
                        raise _bad("its answer is too large")
                status = answer.status_code
            document = json.loads(body)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise _bad(f"{type(error).__name__}") from None
        if 400 <= status < 500 and method == "POST":
            code = document.get("error") if isinstance(document, dict) else None
            raise _refused(f"the provider refuses the code ({_shown(code)})")
        if status != 200 or not isinstance(document, dict):
            raise _bad(f"status {status}")
        return document


def _endpoint(document: Mapping[str, Any], name: str) -> str:
    url = document.get(name)
    if not isinstance(url, str) or not is_safe(url) or not url.isprintable():
        raise _bad(f"its metadata has no usable {name}")
    return url


def _keys(document: Mapping[str, Any]) -> dict[str, PyJWK]:
    found: dict[str, PyJWK] = {}
    listed = document.get("keys")
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            continue
        try:
            found[str(entry.get("kid", ""))] = PyJWK(entry)
        except (PyJWKError, InvalidTokenError, ValueError, TypeError):
            continue  # of a kind we do not know
    return found


def _basic(client: Client) -> str:
    # Both are form-encoded first (RFC 6749 section 2.3.1).
    pair = f"{quote(client.client_id, safe='')}:{quote(client.client_secret, safe='')}"
    return "Basic " + b64encode(pair.encode()).decode()


def _shown(code: object) -> str:
    return code if isinstance(code, str) and code.isascii() and code.isidentifier() and len(code) <= 40 else "no code"


def _bad(why: str) -> AppError:
    _logger.warning("the identity provider does not answer as it should", why=why)
    return AppError(Reason.SSO_UNAVAILABLE, f"The identity provider does not answer as it should: {why}.")


def _refused(why: str) -> AppError:
    _logger.warning("single sign-on refused", why=why)
    return AppError(Reason.SSO_REFUSED, f"Single sign-on was refused: {why}.")
