"""The words of auth: users, sessions, and secrets that are random, shown once, and kept as their digest."""

import string
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal
from uuid import UUID

PREFIX = "lintel_"
REFRESH_PREFIX = "lintel_refresh_"
RESET_PREFIX = "lintel_reset_"
STATE_PREFIX = "lintel_state_"
KEY_BYTES = 32
NOBODY = UUID(int=0)  # the organisation of rows that belong to none (yet)
SESSION_LIFETIME = timedelta(days=30)  # whatever is refreshed (ASVS 7.3.2)
REFRESH_LIFETIME = timedelta(days=7)  # of a session that nobody uses (ASVS 7.3.1)
BEGINNINGS_KEPT = timedelta(days=8)  # longer than an invitation is open
RESET_LIFETIME = timedelta(hours=1)  # of a link to set a new password
LOCAL_KEY_NAME = "local"  # of the installation itself: what the command line uses on this machine

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CHARACTERS = 43  # 62**43 is more than 2**256
_SHOWN = len(PREFIX) + 5  # to recognise a key by; 30 of its 256 bits

RandomBytes = Callable[[int], bytes]
Method = Literal["password", "invitation", "sso"]  # how a session began
EndReason = Literal["logout", "reuse", "inactive", "password", "ended"]


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


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in. Without a hash only an identity provider vouches for them."""

    id: UUID
    organization_id: UUID
    email: str
    password_hash: str | None


@dataclass(frozen=True, slots=True)
class Member:
    """What orgs says of a user, at this moment."""

    organization_id: UUID
    role: str
    is_active: bool
    assigned_repository_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """From a sign-in to its end."""

    id: UUID
    organization_id: UUID
    user_id: UUID
    method: Method
    create_time: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the holder of a session is given."""

    access_token: str
    refresh_token: str
    expires_in: int  # seconds


def email_key(email: str) -> str:
    """Answer an e-mail as it is compared, so that nobody has two accounts by another case or another spelling of it."""
    return unicodedata.normalize("NFKC", email).strip().casefold()


def make_key(random: RandomBytes, prefix: str = PREFIX) -> str:
    """Answer a new key of 256 random bits in base 62, so that a double click selects all of it."""
    number, characters = int.from_bytes(random(KEY_BYTES), "big"), []
    for _ in range(_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return prefix + "".join(reversed(characters))


def digest(key: str) -> bytes:
    """Answer what a key is stored as: SHA-256, as 256 random bits need no slow hash."""
    return sha256(key.encode()).digest()


def shown(key: str) -> str:
    """Answer the characters a key may be recognised by."""
    return key[:_SHOWN]


@dataclass(frozen=True, slots=True)
class SsoConfiguration:
    """An organisation's identity provider; `group_roles` are pairs of group and role, the first that fits counts."""

    organization_id: UUID
    issuer: str
    client_id: str
    client_secret_sealed: str
    client_secret_mask: str
    email_domains: tuple[str, ...]
    groups_claim: str
    group_roles: tuple[tuple[str, str], ...]
    default_role: str  # empty: who is in no such group may not sign in
    update_time: datetime

    def shown(self) -> dict[str, object]:
        """Answer what the audit log may say of it."""
        return {
            "issuer": self.issuer,
            "clientId": self.client_id,
            "clientSecret": self.client_secret_mask,
            "emailDomains": ", ".join(self.email_domains),
            "groupsClaim": self.groups_claim,
            "groupRoles": ", ".join(f"{group}: {role}" for group, role in self.group_roles),
            "defaultRole": self.default_role,
        }

    def role_of(self, groups: frozenset[str]) -> str:
        """Answer the role that groups give; empty if none, and none is the default."""
        return next((role for group, role in self.group_roles if group in groups), self.default_role)


@dataclass(frozen=True, slots=True)
class SsoLogin:
    """A sign-in by an identity provider that is under way."""

    organization_id: UUID
    issuer: str
    nonce: str
    code_verifier_sealed: str
    expire_time: datetime
