"""Access tokens: what auth signed for us is read, and everything that only looks like it is refused."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.kit.errors import AppError, Reason
from services.kit.rpc.access_tokens import LIFETIME, Claims, key_id, sign, verify

KEY, OTHER = Ed25519PrivateKey.from_private_bytes(b"k" * 32), Ed25519PrivateKey.from_private_bytes(b"o" * 32)
KID, OTHER_KID = (key_id(k.public_key().public_bytes_raw()) for k in (KEY, OTHER))
KEYS = {KID: KEY.public_key()}
CLAIMS = Claims(UUID(int=1), UUID(int=2))
LEEWAY = 30


def token(at: int | None = None) -> str:
    return sign(KEY, KID, CLAIMS, int(time.time()) if at is None else at, "a token")


def parts(of: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload of a good token, to be spoilt."""
    head, body, _ = (of or token()).split(".")
    read = [json.loads(base64.urlsafe_b64decode(p + "==")) for p in (head, body)]
    return read[0], read[1]


def encoded(value: Mapping[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def signed(header: Mapping[str, Any], payload: Mapping[str, Any], key: Ed25519PrivateKey = KEY) -> str:
    """A token with exactly this header and payload and a true signature."""
    text = encoded(header) + b"." + encoded(payload)
    return (text + b"." + base64.urlsafe_b64encode(key.sign(text)).rstrip(b"=")).decode()


def refused(text: str) -> bool:
    with pytest.raises(AppError) as caught:
        verify(text, KEYS)
    return caught.value.reason is Reason.UNAUTHENTICATED


def test_a_good_token_is_read() -> None:
    assert verify(token(), KEYS) == CLAIMS
    header, payload = parts()
    assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": KID}
    assert payload["exp"] - payload["iat"] == LIFETIME.total_seconds() == 900
    assert verify(signed(header, payload), KEYS) == CLAIMS  # the helper below makes good tokens too


def test_alg_none_is_refused() -> None:
    header, payload = parts()
    for alg in ("none", "None", "NONE", ""):
        text = (encoded(header | {"alg": alg}) + b"." + encoded(payload)).decode()
        assert refused(text + ".")
        assert refused(text + "." + token().split(".")[2])
    assert refused(jwt.encode(payload, None, "none", headers={"typ": "at+jwt", "kid": KID}))  # type: ignore[arg-type]


def test_the_public_key_is_no_shared_secret() -> None:
    header, payload = parts()
    public = KEY.public_key()
    for secret in (public.public_bytes_raw(), public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        text = encoded(header | {"alg": "HS256"}) + b"." + encoded(payload)
        mac = base64.urlsafe_b64encode(hmac.new(secret, text, sha256).digest()).rstrip(b"=")
        assert refused((text + b"." + mac).decode())


def test_another_algorithm_is_refused() -> None:
    _, payload = parts()
    key = generate_private_key(SECP256R1())
    assert refused(jwt.encode(payload, key, "ES256", headers={"typ": "at+jwt", "kid": KID}))


def test_a_key_of_somebody_else_is_refused() -> None:
    header, payload = parts()
    assert refused(signed(header, payload, OTHER))
    assert refused(signed(header | {"kid": OTHER_KID}, payload, OTHER))


@pytest.mark.parametrize("kid", [None, "", "unknown", OTHER_KID, 7, "../../dev/null", "' OR 1=1 --", [KID]])
def test_a_key_id_that_is_not_ours_is_refused(kid: object) -> None:
    header, payload = parts()
    assert refused(signed(header | {"kid": kid}, payload))
    assert refused(signed({k: v for k, v in header.items() if k != "kid"}, payload))


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "crit", "b64", "cty"])
def test_a_header_that_asks_for_more_is_refused(name: str) -> None:
    header, payload = parts()
    assert refused(signed(header | {name: ["b64"] if name == "crit" else "https://attacker.example/keys"}, payload))


@pytest.mark.parametrize("kind", [None, "JWT", "jwt", "refresh+jwt", "at+JWT2", ""])
def test_another_kind_of_token_is_refused(kind: object) -> None:
    header, payload = parts()
    assert refused(signed(header | {"typ": kind}, payload))


@pytest.mark.parametrize("audience", [None, "", "other", ["lintel"], ["lintel", "other"], ["other"]])
def test_a_token_for_somebody_else_is_refused(audience: object) -> None:
    header, payload = parts()
    assert refused(signed(header, payload | {"aud": audience}))


@pytest.mark.parametrize("issuer", [None, "", "other", "lintel ", ["lintel"]])
def test_a_token_of_somebody_else_is_refused(issuer: object) -> None:
    header, payload = parts()
    assert refused(signed(header, payload | {"iss": issuer}))


def test_an_expired_token_is_refused_and_leeway_is_half_a_minute() -> None:
    age = int(LIFETIME.total_seconds())
    now = int(time.time())
    assert verify(token(now - age + 5), KEYS) == CLAIMS
    assert verify(token(now - age - LEEWAY + 10), KEYS) == CLAIMS
    assert refused(token(now - age - LEEWAY - 1))


def test_a_token_from_the_future_is_refused() -> None:
    assert refused(token(int(time.time()) + 3600))
    header, payload = parts()
    assert refused(signed(header, payload | {"nbf": payload["iat"] + 3600}))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "sid", "iat", "exp", "jti"])
def test_a_token_without_one_of_its_claims_is_refused(name: str) -> None:
    header, payload = parts()
    assert refused(signed(header, {k: v for k, v in payload.items() if k != name}))


@pytest.mark.parametrize("name", ["sub", "sid"])
@pytest.mark.parametrize("value", ["", "x", 7, None, {}, []])
def test_a_claim_of_another_form_is_refused(name: str, value: object) -> None:
    header, payload = parts()
    assert refused(signed(header, payload | {name: value}))


def test_every_changed_character_is_noticed() -> None:
    good = token()
    for index in range(len(good.rpartition(".")[0])):
        changed = good[:index] + ("A" if good[index] != "A" else "B") + good[index + 1 :]
        assert refused(changed)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "...", "a.b.c", "lintel_refresh_" + "A" * 43, "eyJhbGciOiJFZERTQSJ9..", "\0.\0.\0", "é.é.é"),
        *("x" * 5000, "a." * 2000, "[]", "bnVsbA.bnVsbA.bnVsbA", "W10.W10.W10"),
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    assert refused(text)


def test_a_longer_token_than_ours_is_refused_unread() -> None:
    header, payload = parts()
    assert refused(signed(header, payload | {"more": "x" * 3000}))
