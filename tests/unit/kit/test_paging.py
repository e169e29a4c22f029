"""Page tokens: ours, of this very query, or refused."""

import base64
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit import paging
from services.kit.errors import AppError, Reason

KEY = "8f1d3c5b7a9e0246cdfe13579bdf02468ace9f1e2d3c4b5a69788796a5b4c3d2"
CURSOR = {"time": "2026-01-01T00:00:00+00:00", "id": "018f"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("API_CRYPTO_KEY", KEY)
    paging._keys.cache_clear()
    yield
    paging._keys.cache_clear()


def refused(token: str, query: str) -> bool:
    try:
        paging.decode(token, query)
    except AppError as error:
        assert error.reason is Reason.PAGE_TOKEN_INVALID
        return True
    return False


def test_a_token_leads_back_to_its_position() -> None:
    assert paging.decode(paging.encode(CURSOR, "q"), "q") == CURSOR


def test_a_token_of_another_query_is_refused() -> None:
    assert refused(paging.encode(CURSOR, "q"), "another")


def test_a_token_of_another_installation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    token = paging.encode(CURSOR, "q")
    monkeypatch.setenv("API_CRYPTO_KEY", "9" + KEY[1:])
    paging._keys.cache_clear()
    assert refused(token, "q")
    monkeypatch.setenv("API_CRYPTO_KEY_PREVIOUS", KEY)
    paging._keys.cache_clear()
    assert paging.decode(token, "q") == CURSOR  # during a rotation


def test_no_changed_byte_goes_unnoticed() -> None:
    token = paging.encode(CURSOR, "q")
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    for index in range(len(raw)):
        changed = bytes(b ^ 1 if i == index else b for i, b in enumerate(raw))
        assert refused(base64.urlsafe_b64encode(changed).decode().rstrip("="), "q")


@given(st.text(max_size=300))
def test_what_we_did_not_make_is_refused(token: str) -> None:
    assert refused(token, "q")


def test_a_token_of_any_length_is_refused_quickly() -> None:
    assert refused("A" * 10_000_000, "q")
    with pytest.raises(ValueError, match="too large"):
        paging.encode({"x": "y" * 2000}, "q")


@pytest.mark.parametrize(("asked", "size"), [(0, 50), (1, 1), (200, 200), (201, 200), (2**31 - 1, 200)])
def test_page_sizes(asked: int, size: int) -> None:
    assert paging.size(asked) == size
