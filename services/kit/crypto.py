"""The installation's master key: checked at start, and never used itself, only subkeys of it; and the vault on them."""

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Annotated
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import AfterValidator, Field, SecretStr

from services.kit.config import Settings

KEY_BYTES = 32
_HEX = re.compile(r"[0-9a-fA-F]{64}\Z")
_FEWEST_DISTINCT_BYTES = 12  # of 32 random bytes fewer than this are distinct once in more than 2**70 keys
_VERSION = "v1"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_SHORTEST_SHOWN = 12  # characters
_HOW = "make one with `openssl rand -hex 32`"


def subkey(master_hex: str, purpose: str) -> bytes:
    """Answer the 32-byte key of one purpose: HKDF-SHA256 (RFC 5869), so that no use learns the key of another.

    Raises ValueError if the master key is not 32 bytes in hexadecimal.
    """
    if not _HEX.match(master_hex):
        raise ValueError(f"a master key is {KEY_BYTES} bytes in hexadecimal")
    derive = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"lintel/" + purpose.encode())
    return derive.derive(bytes.fromhex(master_hex))


def check_master_key(key: SecretStr) -> SecretStr:
    """Answer the key; raises ValueError, without showing it, if it is malformed or one that anybody could guess."""
    text = key.get_secret_value()
    if not _HEX.match(text):
        raise ValueError(f"must be {KEY_BYTES} bytes in hexadecimal (64 characters); {_HOW}")
    raw = bytes.fromhex(text)
    steps = {(after - before) % 256 for before, after in pairwise(raw)}
    # Zeros, 0123456789abcdef again and again, 00 01 02 …: what examples are made of.
    if len(set(raw)) < _FEWEST_DISTINCT_BYTES or len(steps) == 1:
        raise ValueError(f"is an example value, not a secret; {_HOW}")
    return key


MasterKey = Annotated[SecretStr, AfterValidator(check_master_key)]


def _check_list(keys: SecretStr) -> SecretStr:
    for key in _split(keys):
        check_master_key(SecretStr(key))
    return keys


def _split(keys: SecretStr) -> list[str]:
    return [key.strip() for key in keys.get_secret_value().split(",") if key.strip()]


class CryptoSettings(Settings):
    """The master key, and those before it, which still verify and decrypt during a rotation."""

    crypto_key: MasterKey = Field(alias="API_CRYPTO_KEY")
    previous_crypto_keys: Annotated[SecretStr, AfterValidator(_check_list)] = Field(
        SecretStr(""), alias="API_CRYPTO_KEY_PREVIOUS"
    )

    def subkeys(self, purpose: str) -> list[bytes]:
        """Answer the keys of one purpose: the one to write with first, then those that are only read with."""
        masters = [self.crypto_key.get_secret_value(), *_split(self.previous_crypto_keys)]
        return [subkey(master, purpose) for master in masters]

    def vault(self, service: str) -> "Vault":
        """Answer the vault of one service, under subkeys that no other service derives."""
        return Vault(self.subkeys(f"vault/{service}"))


class SealedSecretError(Exception):
    """A stored secret can't be read; the message says why and holds nothing of it."""


class Vault:
    """Encrypts the stored secrets of one service: AES-256-GCM (NIST SP 800-38D), a random 96-bit nonce each time.

    A secret is text of the form `v1.<key id>.<base64url of nonce, ciphertext and tag>`. The organisation and the field
    are authenticated with it, so that one copied to another row, column or organisation does not decrypt. `field`
    names table, row and column: `llm.model_keys/018f…/api_key`. A key takes 2**32 secrets before it should be rotated.
    """

    def __init__(self, keys: Sequence[bytes], random: Callable[[int], bytes] = os.urandom) -> None:
        """`keys`: the one to write with first, then those that are only read with."""
        self._ciphers = {_key_id(key): AESGCM(key) for key in reversed(keys)}
        self._current = _key_id(keys[0])
        self._random = random

    @property
    def key_id(self) -> str:
        """Identifies the key that is written with; tells nothing of the key."""
        return self._current

    def encrypt(self, secret: str, organization_id: UUID, field: str) -> str:
        """Answer the secret as it may be stored."""
        nonce = self._random(_NONCE_BYTES)
        associated = _associated(self._current, organization_id, field)
        sealed = nonce + self._ciphers[self._current].encrypt(nonce, secret.encode(), associated)
        return f"{_VERSION}.{self._current}.{urlsafe_b64encode(sealed).decode()}"

    def decrypt(self, sealed: str, organization_id: UUID, field: str) -> str:
        """Answer the secret. Raises SealedSecretError if it was changed or moved, or its key is not configured."""
        key_id, data = _parsed(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealedSecretError(
                f"a stored secret was encrypted with another API_CRYPTO_KEY (its id is {key_id}); "
                "list that key in API_CRYPTO_KEY_PREVIOUS"
            )
        associated = _associated(key_id, organization_id, field)
        try:
            return cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], associated).decode()
        except InvalidTag:
            raise SealedSecretError("a stored secret was changed, or belongs elsewhere") from None

    def is_current(self, sealed: str) -> bool:
        """Tell whether a stored secret was encrypted with the key that is written with now."""
        return sealed.startswith(f"{_VERSION}.{self._current}.")

    def reencrypt(self, sealed: str, organization_id: UUID, field: str) -> str:
        """Answer the same secret under the key that is written with now. Raises SealedSecretError."""
        if self.is_current(sealed):
            return sealed
        return self.encrypt(self.decrypt(sealed, organization_id, field), organization_id, field)


def masked(secret: str) -> str:
    """Answer what may be shown of a secret (contract section 4): first 3, `…`, last 3; only `…` below 12 characters."""
    return f"{secret[:3]}…{secret[-3:]}" if len(secret) >= _SHORTEST_SHOWN else "…"


def _key_id(key: bytes) -> str:
    return sha256(b"lintel/key-id" + key).hexdigest()[:16]


def _associated(key_id: str, organization_id: UUID, field: str) -> bytes:
    # The parts before the last have one length each, so no two triples make the same bytes.
    return f"{_VERSION}.{key_id}.".encode() + organization_id.bytes + field.encode()


def _parsed(sealed: str) -> tuple[str, bytes]:
    version, _, rest = sealed.partition(".")
    key_id, _, text = rest.partition(".")
    try:
        data = urlsafe_b64decode(text)
    except ValueError:
        data = b""
    if version != _VERSION or len(data) < _NONCE_BYTES + _TAG_BYTES:
        raise SealedSecretError("a stored secret is cut off, or in no form that this version knows")
    return key_id, data
