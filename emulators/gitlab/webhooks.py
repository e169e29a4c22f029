"""Webhook deliveries as GitLab sends them: payload, headers, token or signature, and the sending."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from emulators.github.webhooks import Delivered
from emulators.github.webhooks import deliver as post
from emulators.gitlab.host import PROJECT_ID
from emulators.gitlab.model import MergeRequest, User
from emulators.gitlab.render import moment

ACTIONS = ("open", "update", "reopen", "close", "merge", "approved")
SIGNING_PREFIX = "whsec_"


@dataclass(frozen=True)
class Delivery:
    """One webhook request. Send it again for a retry: GitLab keeps the id."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def id(self) -> str:
        """The delivery's id."""
        return self.headers["Idempotency-Key"]

    def with_body(self, body: bytes) -> Delivery:
        """Returns the delivery with other bytes and the old signature, which is now wrong."""
        return replace(self, body=body)

    def with_headers(self, **changes: str | None) -> Delivery:
        """Returns the delivery with headers changed; underscores stand for dashes, None removes the header."""
        named = {name.replace("_", "-").lower(): value for name, value in changes.items()}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in named}
        return replace(self, headers=kept | {name: value for name, value in named.items() if value is not None})


async def deliver(url: str, delivery: Delivery, *, timeout: float = 10.0) -> Delivered:
    """Posts a delivery, following no redirect; GitLab too gives up after 10 seconds."""
    return await post(url, delivery, timeout=timeout)  # type: ignore[arg-type]


def sign(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """Returns one value of `webhook-signature` for a signing token."""
    key = base64.b64decode(secret.removeprefix(SIGNING_PREFIX))
    digest = hmac.new(key, f"{delivery_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def make_delivery(
    event: str, body: bytes, *, secret: str | None, delivery_id: str | None = None, at: float | None = None
) -> Delivery:
    """Returns a delivery of any bytes: with the plain token, or signed at a time when the secret is a signing token."""
    key = delivery_id or str(uuid.uuid4())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "GitLab/18.6.0",
        "Idempotency-Key": key,
        "X-Gitlab-Event": event,
        "X-Gitlab-Webhook-UUID": "3c5c0404-c866-44bc-a5f6-452bb1bfc76e",
        "X-Gitlab-Instance": "https://gitlab.example",
        "X-Gitlab-Event-UUID": str(uuid.uuid5(uuid.NAMESPACE_OID, key)),
    }
    if secret is not None and secret.startswith(SIGNING_PREFIX):
        timestamp = str(int(time.time() if at is None else at))
        signature = sign(secret, key, timestamp, body)
        headers |= {"webhook-id": key, "webhook-timestamp": timestamp, "webhook-signature": signature}
    elif secret is not None:
        headers["X-Gitlab-Token"] = secret
    return Delivery(body, headers)


def payload(
    action: str, request: MergeRequest, web: str, path: str, sender: User, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the payload of a merge request event; an update of the commits has `oldrev`."""
    project = _project(PROJECT_ID, path, web)
    gone = request.source == "deleted"
    attributes: dict[str, Any] = {
        "action": action,
        "author_id": request.author.id,
        "blocking_discussions_resolved": True,
        "created_at": moment(request.created_at),
        "description": "",
        "detailed_merge_status": "mergeable",
        "draft": request.draft,
        "id": request.id,
        "iid": request.number,
        "last_commit": {
            "id": request.head_sha,
            "message": "change\n",
            "title": "change",
            "timestamp": moment(request.updated_at),
            "url": f"{web}/{path}/-/commit/{request.head_sha}",
            "author": {"name": "T", "email": "[REDACTED]"},
        },
        "source": None if gone else _project(PROJECT_ID + (request.source == "fork"), path, web),
        "source_branch": request.source_branch,
        "source_project_id": None if gone else PROJECT_ID + (request.source == "fork"),
        "state": request.state,
        "system": False,
        "target": project,
        "target_branch": request.target_branch,
        "target_project_id": PROJECT_ID,
        "title": request.title,
        "updated_at": moment(request.updated_at),
        "url": f"{web}/{path}/-/merge_requests/{request.number}",
        "work_in_progress": request.draft,
    }
    if action == "update" and not changes and request.former_heads:
        attributes["oldrev"] = request.former_heads[-1]
    return {
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": {"id": sender.id, "name": sender.username, "username": sender.username, "avatar_url": None},
        "project": project,
        "object_attributes": attributes,
        "labels": [],
        "changes": dict(changes),
        "repository": {"name": path.rpartition("/")[2], "url": f"{web}/{path}.git", "homepage": f"{web}/{path}"},
    }


def encoded(value: Mapping[str, Any]) -> bytes:
    """Returns the bytes that are sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _project(project_id: int, path: str, web: str) -> dict[str, Any]:
    namespace, _, name = path.rpartition("/")
    return {
        "id": project_id,
        "name": name,
        "description": "",
        "web_url": f"{web}/{path}",
        "git_http_url": f"{web}/{path}.git",
        "namespace": namespace,
        "visibility_level": 0,
        "path_with_namespace": path,
        "default_branch": "main",
    }
