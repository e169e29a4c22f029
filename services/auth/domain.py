"""The words of auth: an API key is random, is shown once, and is kept as its digest."""

import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

PREFIX = "lintel_"
KEY_BYTES = 32
LOCAL_KEY_NAME = "local"  # of the installation itself: what the command line uses on this machine

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CHARACTERS = 43  # 62**43 is more than 2**256
_SHOWN = len(PREFIX) + 5  # to recognise a key by; 30 of its 256 bits

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose keys: a user's, or with no user those of the installation itself."""

    organization_id: UUID
    user_id: UUID | None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored; `expire_time` None means never."""

    id: UUID
    owner: Owner
    name: str
    prefix: str
    role: str  # owner, billing_manager, repo_admin or contributor
    scopes: tuple[str, ...]  # all, or read
    create_time: datetime
    expire_time: datetime | None


def make_key(random: RandomBytes) -> str:
    """Answer a new key of 256 random bits in base 62, so that a double click selects all of it."""
    number, characters = int.from_bytes(random(KEY_BYTES), "big"), []
    for _ in range(_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return PREFIX + "".join(reversed(characters))


def digest(key: str) -> bytes:
    """Answer what a key is stored as: SHA-256, as 256 random bits need no slow hash."""
    return sha256(key.encode()).digest()


def shown(key: str) -> str:
    """Answer the characters a key may be recognised by."""
    return key[:_SHOWN]
