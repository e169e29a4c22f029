"""Who sent a GitLab webhook, and what kind it is: its plain token, or the signature of Standard Webhooks."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

TOKEN_HEADER = "x-gitlab-token"  # noqa: S105 - a header's name
EVENT_HEADER = "x-gitlab-event"
TOLERANCE_SECONDS = 300  # what Standard Webhooks gives clocks and queues
SIGNING_PREFIX = "whsec_"

_EVENT = re.compile(r"[A-Z][A-Za-z]{0,31}(?: [A-Z][A-Za-z]{0,31}){0,3}")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_MAX_SIGNATURES = 16
_OURS = frozenset({"Merge Request Hook"})


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float) -> bool:
    """Whether one of `secrets` vouches for exactly this delivery; an empty secret never does. Never raises.

    A secret that starts with `whsec_` is a signing token and signs id, time and body; any other is the plain token. As
    soon as one is a signing token, no plain token counts: whoever can read a header could send the weaker of the two.
    """
    signing = [secret for secret in secrets if secret.startswith(SIGNING_PREFIX)]
    if signing:
        return _signed(headers, body, signing, now)
    given = headers.get(TOKEN_HEADER, "").encode("utf-8", "surrogateescape")
    verified = False
    for secret in secrets:
        if secret and given:
            # Hashes, as the comparison takes time by length; and no early end.
            known = secret.encode("utf-8", "surrogateescape")
            verified |= hmac.compare_digest(hashlib.sha256(known).digest(), hashlib.sha256(given).digest())
    return verified


def _signed(headers: Mapping[str, str], body: bytes, tokens: Sequence[str], now: float) -> bool:
    sent, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not _ID.fullmatch(sent) or not _TIMESTAMP.fullmatch(moment) or abs(now - int(moment)) > TOLERANCE_SECONDS:
        return False
    given = [_decoded(one[3:]) for one in headers.get("webhook-signature", "").split(" ") if one.startswith("v1,")]
    verified = False
    for token in tokens:
        key = _decoded(token.removeprefix(SIGNING_PREFIX))
        if not key:
            continue
        digest = hmac.digest(key, f"{sent}.{moment}.".encode() + body, hashlib.sha256)
        for signature in given[:_MAX_SIGNATURES]:
            verified |= hmac.compare_digest(digest, signature)
    return verified


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return b""


def event(headers: Mapping[str, str]) -> str:
    """Answer the event kind, such as "Merge Request Hook"; empty if the header is missing or odd."""
    value = headers.get(EVENT_HEADER, "")
    return value if _EVENT.fullmatch(value) else ""


def delivery_id(headers: Mapping[str, str]) -> str:
    """Answer the delivery's id, which stays in retries; empty before GitLab 17.4, where the body has to tell.

    X-Gitlab-Event-UUID is no such id: hooks that one cause sets off share it.
    """
    for name in ("webhook-id", "idempotency-key"):
        value = headers.get(name, "")
        if _ID.fullmatch(value):
            return value
    return ""


def is_ours(kind: str) -> bool:
    """Whether we store events of that kind; comments, pushes and the rest are answered and forgotten."""
    return kind in _OURS


def accepts(headers: Mapping[str, str]) -> bool:
    """Whether it is JSON, the only form GitLab sends."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
