"""Page tokens: where the next page of a list begins, signed, so that a token is ours and of this very query."""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256

from services.kit.config import load
from services.kit.crypto import CryptoSettings
from services.kit.errors import AppError, Reason

DEFAULT_SIZE = 50
MAX_SIZE = 200
MAX_TOKEN = 1024  # characters; a cursor is a time and an id
_VERSION = b"\x01"
_TAG_BYTES = 16  # 128 bits of HMAC-SHA256: a forgery is not found by trying


def size(asked: int) -> int:
    """Answer how many items a page holds: 50 where 0 is asked for, and never more than 200."""
    return min(asked, MAX_SIZE) if asked > 0 else DEFAULT_SIZE


def encode(cursor: Mapping[str, str], query: str) -> str:
    """Answer the token of a position in the list that `query` names: the list, its filter and its organisation."""
    body = _VERSION + json.dumps(dict(cursor), separators=(",", ":"), sort_keys=True).encode()
    token = base64.urlsafe_b64encode(body + _tag(_keys()[0], body, query)).rstrip(b"=").decode()
    if len(token) > MAX_TOKEN:
        raise ValueError(f"a cursor of {len(body)} bytes is too large for a page token")
    return token


def decode(token: str, query: str) -> Mapping[str, str]:
    """Answer the position in a token. Raises AppError(PAGE_TOKEN_INVALID) unless `encode` made it for this query."""
    raw = _from_base64(token) if len(token) <= MAX_TOKEN else b""
    body, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
    if not body.startswith(_VERSION) or not _is_ours(body, tag, query, _keys()):
        raise AppError(Reason.PAGE_TOKEN_INVALID)
    cursor: dict[str, str] = json.loads(body[1:])
    return cursor


def _is_ours(body: bytes, tag: bytes, query: str, keys: Sequence[bytes]) -> bool:
    return any(hmac.compare_digest(tag, _tag(key, body, query)) for key in keys)


def _tag(key: bytes, body: bytes, query: str) -> bytes:
    return hmac.digest(key, sha256(query.encode()).digest() + body, "sha256")[:_TAG_BYTES]


def _from_base64(token: str) -> bytes:
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


@cache
def _keys() -> list[bytes]:
    # Read once: every service that pages has CryptoSettings in its configuration, so a bad key stopped it at start.
    return load(CryptoSettings).subkeys("page-token")
