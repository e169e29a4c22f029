"""Signs access tokens, and answers the public keys that verify them."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.kit.ids import new_id
from services.kit.rpc import access_tokens
from services.kit.rpc.access_tokens import Claims

# scrypt (RFC 7914) with 16 MiB: some 0.1 s at start, and as much for each guess at a secret that a person made up.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
_SALT = b"lintel/access-token-signing/v1"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that tokens are verified with: 32 bytes of Ed25519, and what `kid` calls it."""

    id: str
    raw: bytes

    @property
    def x(self) -> str:
        """The key as RFC 8037 writes it."""
        return urlsafe_b64encode(self.raw).rstrip(b"=").decode()


class Signer:
    """Ed25519 keys made from secrets by scrypt; the first secret signs, all of them are published."""

    def __init__(self, signing_secrets: Sequence[str]) -> None:
        keys = [_private_key(secret) for secret in dict.fromkeys(signing_secrets)]
        self._key = keys[0]
        self.public_keys = tuple(PublicKey(access_tokens.key_id(raw), raw) for raw in map(_public_bytes, keys))

    def access_token(self, user_id: UUID, session_id: UUID, now: datetime) -> str:
        """Answer a token that is valid for access_tokens.LIFETIME."""
        claims = Claims(user_id, session_id)
        return access_tokens.sign(self._key, self.public_keys[0].id, claims, int(now.timestamp()), new_id().hex)


def _private_key(secret: str) -> Ed25519PrivateKey:
    seed = hashlib.scrypt(secret.encode(), salt=_SALT, maxmem=64 * 1024 * 1024, **_SCRYPT)
    return Ed25519PrivateKey.from_private_bytes(seed)


def _public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()
