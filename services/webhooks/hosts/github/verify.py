"""Who sent a GitHub webhook, and what kind it is, from its headers and raw bytes alone."""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

SIGNATURE_HEADER = "x-hub-signature-256"
EVENT_HEADER = "x-github-event"
DELIVERY_HEADER = "x-github-delivery"

_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")  # GitHub writes lower case; the SHA-1 header is never read
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DELIVERY = re.compile(r"[A-Za-z0-9-]{1,64}")
_OURS = frozenset({"pull_request"})
_CONTENT_TYPES = frozenset({"application/json", "application/x-www-form-urlencoded"})


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
    """Whether one of `secrets` signed exactly these bytes; an empty secret never does. Never raises."""
    match = _SIGNATURE.fullmatch(headers.get(SIGNATURE_HEADER, ""))
    if match is None:
        return False
    given = bytes.fromhex(match[1])
    verified = False
    for secret in secrets:
        if secret:
            # No early end: how long it takes does not tell which secret was the right one.
            key = secret.encode("utf-8", "surrogateescape")
            verified |= hmac.compare_digest(hmac.digest(key, body, hashlib.sha256), given)
    return verified


def event(headers: Mapping[str, str]) -> str:
    """Answer the event kind, empty if the header is missing or odd."""
    value = headers.get(EVENT_HEADER, "")
    return value if _EVENT.fullmatch(value) else ""


def delivery_id(headers: Mapping[str, str]) -> str:
    """Answer the delivery's id (the same on redelivery), empty if the header is missing or odd."""
    value = headers.get(DELIVERY_HEADER, "")
    return value if _DELIVERY.fullmatch(value) else ""


def is_ours(kind: str) -> bool:
    """Whether we store events of that kind; `ping` and the rest are answered and forgotten."""
    return kind in _OURS


def content_type(headers: Mapping[str, str]) -> str:
    """Answer the media type in lower case, without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def accepts(headers: Mapping[str, str]) -> bool:
    """Whether it is JSON, or the form that hooks made over the API send unless told otherwise."""
    return content_type(headers) in _CONTENT_TYPES
