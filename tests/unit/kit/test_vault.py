"""Secrets at rest: what was encrypted is read in its own place under its own keys, and nowhere else."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from services.kit.config import load
from services.kit.crypto import CryptoSettings, SealedSecretError, Vault, masked, subkey

NEW = "8f1d3c5b7a9e0246cdfe13579bdf02468ace9f1e2d3c4b5a69788796a5b4c3d2"
OLD = "0a9b8c7d6e5f40312213f4e5d6c7b8a9918273645546372819fae0d1c2b3a495"
MINE, THEIRS = UUID(int=1), UUID(int=2)
FIELD = "llm.model_keys/1/api_key"
SECRET = "sk-a-secret-of-the-tests"


def vault(key: str = NEW, previous: str = "", service: str = "llm_gateway") -> Vault:
    environ = {"API_CRYPTO_KEY": key, "API_CRYPTO_KEY_PREVIOUS": previous}
    return load(CryptoSettings, environ).vault(service)


@given(st.text(max_size=200))
def test_a_secret_comes_back(secret: str) -> None:
    sealed = vault().encrypt(secret, MINE, FIELD)
    assert vault().decrypt(sealed, MINE, FIELD) == secret


def test_what_is_stored_shows_nothing_and_is_never_the_same() -> None:
    first, second = (vault().encrypt(SECRET, MINE, FIELD) for _ in range(2))
    assert first != second
    assert SECRET not in first
    assert SECRET.encode() not in urlsafe_b64decode(first.split(".")[2])


def test_it_is_plain_aes_256_gcm_under_the_service_s_subkey() -> None:
    sealed = vault().encrypt(SECRET, MINE, FIELD)
    version, key_id, text = sealed.split(".")
    data = urlsafe_b64decode(text)
    cipher = AESGCM(subkey(NEW, "vault/llm_gateway"))
    associated = f"{version}.{key_id}.".encode() + MINE.bytes + FIELD.encode()
    assert cipher.decrypt(data[:12], data[12:], associated) == SECRET.encode()


@pytest.mark.parametrize(
    ("organization", "field"), [(THEIRS, FIELD), (MINE, "llm.model_keys/2/api_key"), (MINE, ""), (THEIRS, "")]
)
def test_moved_to_another_organisation_or_field_it_is_not_read(organization: UUID, field: str) -> None:
    sealed = vault().encrypt(SECRET, MINE, FIELD)
    with pytest.raises(SealedSecretError, match="changed, or belongs elsewhere") as caught:
        vault().decrypt(sealed, organization, field)
    assert SECRET not in str(caught.value)


def test_another_service_does_not_read_it() -> None:
    sealed = vault().encrypt(SECRET, MINE, FIELD)
    with pytest.raises(SealedSecretError, match="another API_CRYPTO_KEY"):
        vault(service="webhooks").decrypt(sealed, MINE, FIELD)


def test_not_even_under_the_other_service_s_key_id() -> None:
    foreign = vault(service="webhooks")
    sealed = vault().encrypt(SECRET, MINE, FIELD).replace(vault().key_id, foreign.key_id)
    with pytest.raises(SealedSecretError, match="changed"):
        foreign.decrypt(sealed, MINE, FIELD)


def test_an_unknown_key_is_told_with_what_to_do() -> None:
    sealed = vault(OLD).encrypt(SECRET, MINE, FIELD)
    with pytest.raises(SealedSecretError, match="list that key in API_CRYPTO_KEY_PREVIOUS"):
        vault(NEW).decrypt(sealed, MINE, FIELD)


def test_every_cut_is_noticed() -> None:
    sealed = vault().encrypt(SECRET, MINE, FIELD)
    for length in range(len(sealed)):
        with pytest.raises(SealedSecretError):
            vault().decrypt(sealed[:length], MINE, FIELD)


def test_every_flipped_bit_is_noticed() -> None:
    head, _, text = vault().encrypt("short", MINE, FIELD).rpartition(".")
    data = urlsafe_b64decode(text)
    for index in range(len(data) * 8):
        changed = bytearray(data)
        changed[index // 8] ^= 1 << index % 8
        with pytest.raises(SealedSecretError):
            vault().decrypt(f"{head}.{urlsafe_b64encode(changed).decode()}", MINE, FIELD)


@pytest.mark.parametrize("text", ["", "v1", "v1..", "v2.00.AAAA", SECRET, "v1.0123456789abcdef.é", "…"])
def test_what_is_no_sealed_secret_is_told(text: str) -> None:
    with pytest.raises(SealedSecretError):
        vault().decrypt(text, MINE, FIELD)


def test_rotation_reads_the_old_and_writes_the_new() -> None:
    old = vault(OLD).encrypt(SECRET, MINE, FIELD)
    both = vault(NEW, OLD)
    assert both.decrypt(old, MINE, FIELD) == SECRET
    assert not both.is_current(old)
    new = both.reencrypt(old, MINE, FIELD)
    assert both.is_current(new)
    assert both.reencrypt(new, MINE, FIELD) == new
    assert vault(NEW).decrypt(new, MINE, FIELD) == SECRET
    with pytest.raises(SealedSecretError):
        vault(OLD).decrypt(new, MINE, FIELD)


def test_a_key_listed_as_current_and_previous_is_written_with() -> None:
    same = vault(NEW, f"{OLD},{NEW}")
    assert same.key_id == vault(NEW).key_id
    assert vault(NEW).decrypt(same.encrypt(SECRET, MINE, FIELD), MINE, FIELD) == SECRET


@pytest.mark.parametrize(
    ("secret", "shown"), [("", "…"), ("12345678901", "…"), ("123456789012", "123…012"), ("sk-abcdefghijk", "sk-…ijk")]
)
def test_masks(secret: str, shown: str) -> None:
    assert masked(secret) == shown
