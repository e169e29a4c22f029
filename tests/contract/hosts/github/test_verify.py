"""Signatures: the vector of GitHub's documentation, and every way to be wrong."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.hosts import ADAPTERS
from services.webhooks.hosts.github import verify as signed

SECRET = "It's a Secret to Everybody"
BODY = b"Hello, World!"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def headers(signature: str) -> dict[str, str]:
    return {"x-hub-signature-256": signature}


def test_the_documented_vector_verifies() -> None:
    assert signed.verify(headers(SIGNATURE), BODY, [SECRET])


def test_any_of_several_secrets_verifies() -> None:
    assert signed.verify(headers(SIGNATURE), BODY, ["new", SECRET])
    assert signed.verify(headers(SIGNATURE), BODY, [SECRET, "old"])


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        SIGNATURE.removeprefix("sha256="),
        SIGNATURE.upper(),
        "sha256=" + SIGNATURE.removeprefix("sha256=").upper(),
        SIGNATURE.replace("sha256", "sha1"),
        SIGNATURE + ", " + SIGNATURE,
        SIGNATURE + "\n",
        " " + SIGNATURE,
        SIGNATURE[:-1],
        SIGNATURE[:-1] + "é",
        SIGNATURE[:-1] + "\udcff",
        "sha256=" + "0" * 64,
        "\0",
    ],
)
def test_an_odd_signature_does_not_verify(signature: str) -> None:
    assert not signed.verify(headers(signature), BODY, [SECRET])


def test_missing_header_and_missing_secret_do_not_verify() -> None:
    empty_key = "sha256=" + hmac.digest(b"", BODY, hashlib.sha256).hex()
    assert not signed.verify({}, BODY, [SECRET])
    assert not signed.verify({"x-hub-signature": "sha1=" + "0" * 40}, BODY, [SECRET])
    assert not signed.verify(headers(SIGNATURE), BODY, [])
    assert not signed.verify(headers(empty_key), BODY, [""])
    assert not signed.verify(headers(SIGNATURE), BODY, ["somebody else's"])


@given(st.integers(0, len(BODY) * 8 - 1))
def test_no_flipped_bit_of_the_body_verifies(bit: int) -> None:
    altered = bytearray(BODY)
    altered[bit // 8] ^= 1 << bit % 8
    assert not signed.verify(headers(SIGNATURE), bytes(altered), [SECRET])


@given(st.text(max_size=80), st.binary(max_size=40), st.lists(st.text(max_size=8), max_size=3))
def test_rubbish_is_refused_without_an_exception(signature: str, body: bytes, secrets: list[str]) -> None:
    assert not signed.verify(headers(signature), body, secrets)


def test_kind_and_id_are_read_within_bounds() -> None:
    webhooks = ADAPTERS["github"].webhooks
    found = {"x-github-event": "pull_request", "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}
    assert webhooks.event(found) == "pull_request" and webhooks.is_ours("pull_request")
    assert webhooks.delivery_id(found) == "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    assert webhooks.event({"x-github-event": "ping"}) == "ping" and not webhooks.is_ours("ping")
    for odd in ("", "x" * 65, "pull request", "ünïcode", "a\nb"):
        assert webhooks.event({"x-github-event": odd}) == ""
        assert webhooks.delivery_id({"x-github-delivery": odd + "!"}) == ""
    assert webhooks.accepts({"content-type": "application/json; charset=utf-8"})
    assert webhooks.accepts({"content-type": "application/x-www-form-urlencoded"})
    assert not webhooks.accepts({"content-type": "text/plain"}) and not webhooks.accepts({})
