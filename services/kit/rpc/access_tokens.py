"""Access tokens: JWTs auth signs, and every service verifies by itself with auth's public keys (RFC 9068, 8725)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.exceptions import InvalidTokenError

from services.kit.errors import AppError, Reason

ISSUER = "lintel"
AUDIENCE = "lintel"
TYPE = "at+jwt"  # RFC 9068, so that no other kind of token can pass for it
ALGORITHM = "EdDSA"
LIFETIME = timedelta(minutes=15)
LEEWAY = timedelta(seconds=30)  # between the clocks of two machines
MAX_LENGTH = 2048  # characters; ours have some 450
_HEADER = frozenset({"alg", "typ", "kid"})  # whatever else a header may ask for (jku, jwk, x5u, crit) is refused
_CLAIMS = ("iss", "aud", "sub", "sid", "iat", "exp", "jti")

PublicKeys = Mapping[str, Ed25519PublicKey]  # by key id


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says: who, in which session. Role and organisation are asked for, so they are never old."""

    user_id: UUID
    session_id: UUID


def key_id(public_key: bytes) -> str:
    """Answer what a token's `kid` calls a public key: 16 hexadecimal digits of its SHA-256."""
    return sha256(public_key).hexdigest()[:16]


def named_key(token: str) -> str:
    """Answer the id of the key that a token names, before anything is verified.

    Raises AppError(UNAUTHENTICATED) for what is no access token of ours, whoever signed it.
    """
    if len(token) > MAX_LENGTH or token.count(".") != 2:
        raise AppError(Reason.UNAUTHENTICATED)
    try:
        header = jwt.get_unverified_header(token)
    except InvalidTokenError:
        raise AppError(Reason.UNAUTHENTICATED) from None
    kid = header.get("kid")
    if not set(header) <= _HEADER or header.get("alg") != ALGORITHM or header.get("typ") != TYPE:
        raise AppError(Reason.UNAUTHENTICATED)
    if not isinstance(kid, str) or not kid:
        raise AppError(Reason.UNAUTHENTICATED)
    return kid


def verify(token: str, keys: PublicKeys) -> Claims:
    """Answer what a token says. Raises AppError(UNAUTHENTICATED) unless one of `keys` signed it for us, for now."""
    key = keys.get(named_key(token))
    if key is None:
        raise AppError(Reason.UNAUTHENTICATED)
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            leeway=LEEWAY,
            options={"require": list(_CLAIMS), "strict_aud": True},
        )
        return Claims(UUID(claims["sub"]), UUID(claims["sid"]))
    except (InvalidTokenError, ValueError, TypeError, AttributeError):
        raise AppError(Reason.UNAUTHENTICATED) from None


def sign(key: Ed25519PrivateKey, kid: str, claims: Claims, issued_at: int, token_id: str) -> str:
    """Answer a token that is valid for LIFETIME; `issued_at` is in seconds since 1970."""
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(claims.user_id),
        "sid": str(claims.session_id),
        "iat": issued_at,
        "exp": issued_at + int(LIFETIME.total_seconds()),
        "jti": token_id,
    }
    return jwt.encode(payload, key, ALGORITHM, headers={"typ": TYPE, "kid": kid})
