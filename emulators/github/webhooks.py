"""Webhook deliveries as GitHub sends them: payload, headers, signature, and the sending."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from emulators.github.description import webhook_errors
from emulators.github.record import EmulatorDefectError

ACTIONS = ("opened", "reopened", "synchronize", "closed", "edited", "ready_for_review", "converted_to_draft")


@dataclass(frozen=True)
class Delivery:
    """One webhook request. Send it again for a redelivery: GitHub keeps the id."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def id(self) -> str:
        """The delivery's GUID."""
        return self.headers["X-GitHub-Delivery"]

    @property
    def event(self) -> str:
        """The event's name."""
        return self.headers["X-GitHub-Event"]

    def with_body(self, body: bytes) -> Delivery:
        """Returns the delivery with other bytes and the old signature, which is now wrong."""
        return replace(self, body=body)

    def with_headers(self, **changes: str | None) -> Delivery:
        """Returns the delivery with headers changed; underscores stand for dashes, None removes the header."""
        named = {name.replace("_", "-").lower(): value for name, value in changes.items()}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in named}
        return replace(self, headers=kept | {name: value for name, value in named.items() if value is not None})

    def with_signature(self, signature: str | None) -> Delivery:
        """Returns the delivery with that signature header, right or wrong; None removes it."""
        return self.with_headers(X_Hub_Signature_256=signature)


@dataclass(frozen=True)
class Delivered:
    """What the receiver answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def sign_webhook(secret: str, body: bytes) -> str:
    """Returns the value of `X-Hub-Signature-256` for these bytes."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def make_delivery(
    event: str, body: bytes, *, secret: str | None, delivery_id: str | None = None, hook_id: int = 1, target_id: int = 1
) -> Delivery:
    """Returns a delivery of any bytes; without a secret it has no signature, as at GitHub."""
    headers = {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/0e17a12",
        "X-GitHub-Delivery": delivery_id or str(uuid.uuid4()),
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": str(hook_id),
        "X-GitHub-Hook-Installation-Target-ID": str(target_id),
        "X-GitHub-Hook-Installation-Target-Type": "repository",
    }
    if secret is not None:
        legacy = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
        headers |= {"X-Hub-Signature": "sha1=" + legacy, "X-Hub-Signature-256": sign_webhook(secret, body)}
    return Delivery(body, headers)


async def deliver(
    url: str, delivery: Delivery, *, client: httpx2.AsyncClient | None = None, timeout: float = 10.0
) -> Delivered:
    """Posts a delivery, following no redirect; GitHub too gives up after 10 seconds. httpx2's errors are not caught."""
    if client is None:
        async with httpx2.AsyncClient(timeout=timeout, trust_env=False) as own:
            return await deliver(url, delivery, client=own)
    response = await client.post(url, content=delivery.body, headers=dict(delivery.headers), follow_redirects=False)
    return Delivered(response.status_code, dict(response.headers), response.content)


def pull_request_payload(
    action: str, pull: dict[str, Any], repository: dict[str, Any], sender: dict[str, Any], extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the payload of a `pull_request` event; EmulatorDefectError when it isn't GitHub's shape."""
    payload = {
        "action": action,
        "number": pull["number"],
        "pull_request": pull,
        "repository": repository,
        "sender": sender,
        **extra,
    }
    wrong = webhook_errors("pull-request-" + action.replace("_", "-"), payload)
    if wrong:
        raise EmulatorDefectError(f"payload of {action}: {wrong[0]}")
    return payload


def encoded_payload(payload: Mapping[str, Any]) -> bytes:
    """Returns the bytes that are signed and sent."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
