"""The signing keys of the stand-in, and tokens made with them, rightly or wrongly."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm


@dataclass(frozen=True)
class SigningKey:
    """An RSA key and what it is called."""

    id: str
    private: RSAPrivateKey

    @classmethod
    def make(cls, name: str) -> SigningKey:
        """Makes a fresh key."""
        return cls(name, generate_private_key(65537, 2048))

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half as RFC 7517 writes it."""
        public: dict[str, Any] = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return public | {"kid": self.id, "use": "sig", "alg": "RS256"}

    def sign(self, claims: Mapping[str, Any], kid: str | None = None) -> str:
        """Returns a token, under another key id if one is given."""
        return jwt.encode(dict(claims), self.private, "RS256", headers={"kid": kid or self.id})


def unsigned(claims: Mapping[str, Any], kid: str) -> str:
    """Returns a token with `alg: none` and no signature."""
    parts = ({"alg": "none", "typ": "JWT", "kid": kid}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, ""])


def by_secret(claims: Mapping[str, Any], secret: str, kid: str) -> str:
    """Returns a token signed by a shared secret (HS256)."""
    return jwt.encode(dict(claims), secret.ljust(32, "-"), "HS256", headers={"kid": kid})
