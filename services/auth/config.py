"""What the auth service reads from the environment."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, field_validator

from services.auth.issuers import check_issuer
from services.kit.config import Settings
from services.kit.crypto import CryptoSettings
from services.kit.mail import check_smtp_url
from services.kit.postgres.settings import DatabaseSettings

FEWEST_BYTES = 32  # contract section 7; as many as the key that is made of it
_FEWEST_DISTINCT = 10  # of 32 random characters, even hexadecimal ones, fewer are distinct once in millions
_REPEATED = re.compile(r"(.{1,16})\1+", re.DOTALL)
# What documentation, tutorials and templates put there: jwt.io's own examples among them.
_WELL_KNOWN = (
    *("changeme", "changethis", "yoursecret", "yourjwt", "yoursuper", "your256bit", "your512bit", "yourkey", "yourown"),
    *("supersecret", "mysecret", "jwtsecret", "secretkey", "secretatleast", "example", "placeholder", "keyboardcat"),
    *("replaceme", "replacethis", "inserthere", "generateme", "donotuse", "devsecret", "testsecret", "lintelsecret"),
)
_HOW = "make one with `openssl rand -hex 32`"


def check_signing_secret(secret: SecretStr) -> SecretStr:
    """Answer the secret; raises ValueError, without showing it, if it is short, or one that anybody could guess."""
    text = secret.get_secret_value()
    if len(text.encode()) < FEWEST_BYTES:
        raise ValueError(f"must have at least {FEWEST_BYTES} bytes; {_HOW}")
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    if len(set(text)) < _FEWEST_DISTINCT or _REPEATED.fullmatch(text) or any(word in plain for word in _WELL_KNOWN):
        raise ValueError(f"is an example value, not a secret; {_HOW}")
    return secret


def _check_list(secrets: SecretStr) -> SecretStr:
    for secret in _split(secrets):
        check_signing_secret(SecretStr(secret))
    return secrets


def _split(secrets: SecretStr) -> list[str]:
    return [secret.strip() for secret in secrets.get_secret_value().split(",") if secret.strip()]


def _check_smtp(url: SecretStr) -> SecretStr:
    check_smtp_url(url.get_secret_value())
    return url


class SigningSettings(Settings):
    """The secret that access tokens are signed under, and those before it, which still verify during a rotation."""

    jwt_secret: Annotated[SecretStr, AfterValidator(check_signing_secret)] = Field(alias="API_JWT_SECRET")
    previous_jwt_secrets: Annotated[SecretStr, AfterValidator(_check_list)] = Field(
        SecretStr(""), alias="API_JWT_SECRET_PREVIOUS"
    )

    def signing_secrets(self) -> list[str]:
        """Answer the secret to sign with first, then those that only verify."""
        return [self.jwt_secret.get_secret_value(), *_split(self.previous_jwt_secrets)]


class AuthSettings(DatabaseSettings, CryptoSettings, SigningSettings):
    """Configuration of the service; no other one has the signing secret."""

    open_registration: bool = Field(False, alias="LINTEL_OPEN_REGISTRATION")
    public_url: str = Field(
        "http://127.0.0.1:3001", alias="LINTEL_PUBLIC_URL", pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$"
    )
    smtp_url: Annotated[SecretStr, AfterValidator(_check_smtp)] | None = Field(None, alias="LINTEL_SMTP_URL")
    sso_issuers: tuple[str, ...] = Field((), alias="LINTEL_SSO_ISSUERS")  # comma list

    @field_validator("sso_issuers", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(check_issuer(part.strip()) for part in value.split(",") if part.strip())
