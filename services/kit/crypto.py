"""The installation's master key: checked at start, and never used itself, only subkeys of it."""

import re
from itertools import pairwise
from typing import Annotated

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import AfterValidator, Field, SecretStr

from services.kit.config import Settings

KEY_BYTES = 32
_HEX = re.compile(r"[0-9a-fA-F]{64}\Z")
_FEWEST_DISTINCT_BYTES = 12  # of 32 random bytes fewer than this are distinct once in more than 2**70 keys
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
