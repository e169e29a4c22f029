"""POST /v1/track of Segment's HTTP Tracking API and POST /i/v0/e/ of PostHog's capture API, on loopback.

Written from their public documents: what they want, and that they drop repetitions of `messageId` and `uuid`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from types import TracebackType
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from emulators.github.incoming import Incoming, Message, Receive, Send
from emulators.github.listener import Listener

MAX_BYTES = 32_768  # of a Segment event
_Text = Annotated[str, StringConstraints(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SegmentEvent(_Strict):
    """The body of /v1/track."""

    user_id: _Text = Field(alias="userId")
    event: _Text
    properties: dict[str, Any]
    timestamp: Annotated[AwareDatetime, Field(strict=False)]
    message_id: _Text = Field(alias="messageId")


class PostHogEvent(_Strict):
    """The body of /i/v0/e/."""

    api_key: _Text
    distinct_id: _Text
    event: _Text
    properties: dict[str, Any]
    timestamp: Annotated[AwareDatetime, Field(strict=False)]
    uuid: Annotated[UUID, Field(strict=False)]


class AnalyticsEmulator:
    """Both services on one address, as an asynchronous context manager; `fail_next` answers come first.

    `segment` and `posthog` hold what was accepted, by its id and so once; `violations` what a client did wrong.
    """

    def __init__(self, segment_key: str = "segment-key", posthog_key: str = "posthog-key") -> None:
        self.segment: dict[str, SegmentEvent] = {}
        self.posthog: dict[str, PostHogEvent] = {}
        self.violations: list[str] = []
        self.fail_next: list[int] = []
        self.requests = 0
        self._login = "Basic " + b64encode(f"{segment_key}:".encode()).decode()
        self._key = posthog_key
        self._listener = Listener()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._listener.url

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        await self._listener.start(self, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening."""
        await self._listener.stop()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI application."""
        status = self._answer(await Incoming.read(scope, receive))
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": b'{"success":true}' if status == 200 else b"{}"})

    def _answer(self, incoming: Incoming) -> int:
        self.requests += 1
        if self.fail_next:
            return self.fail_next.pop(0)
        if incoming.method != "POST" or incoming.path not in ("/v1/track", "/i/v0/e/"):
            return self._refuse(404, f"no such route: {incoming.method} {incoming.path}")
        if incoming.headers.get("content-type") != "application/json" or len(incoming.body) > MAX_BYTES + 2048:
            return self._refuse(400, "no JSON, or too much of it")
        try:
            if incoming.path == "/v1/track":
                return self._track(incoming)
            return self._capture(incoming)
        except (ValidationError, ValueError) as error:
            return self._refuse(400, str(error))

    def _track(self, incoming: Incoming) -> int:
        if incoming.headers.get("authorization") != self._login:
            return self._refuse(401, "not the write key")
        event = SegmentEvent.model_validate(json.loads(incoming.body))
        self.segment.setdefault(event.message_id, event)
        return 200

    def _capture(self, incoming: Incoming) -> int:
        event = PostHogEvent.model_validate(json.loads(incoming.body))
        if event.api_key != self._key:
            return self._refuse(401, "not the project's key")
        self.posthog.setdefault(str(event.uuid), event)
        return 200

    def _refuse(self, status: int, problem: str) -> int:
        self.violations.append(problem)
        return status
