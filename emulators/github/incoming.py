"""A request as it came over the wire, before anything is believed of it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from emulators.github.answers import RefusedError

MAX_BODY = 26_214_400

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ConnectionCutError(Exception):
    """The connection is to be cut without an answer, or was cut by the client."""


@dataclass(frozen=True)
class Incoming:
    """A request as it came: path decoded (bytes that are no UTF-8 as surrogates), header names in lower case."""

    method: str
    path: str
    raw_path: str
    query: str
    headers: dict[str, str]
    body: bytes
    peer: tuple[str, int] | None

    @classmethod
    async def read(cls, scope: Message, receive: Receive) -> Incoming:
        """Reads the whole request; RefusedError 413 above 25 MiB, ConnectionCutError when it stops half-way."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionCutError
            body += message.get("body", b"")
            if len(body) > MAX_BODY:
                raise RefusedError(413, "Payload too large")
            if not message.get("more_body", False):
                break
        raw = bytes(scope["raw_path"])
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        return cls(
            method=scope["method"],
            path=unquote_to_bytes(raw).decode("utf-8", "surrogateescape"),
            raw_path=raw.decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=bytes(body),
            peer=tuple(scope["client"]) if scope.get("client") else None,
        )

    def accept(self) -> tuple[str, ...]:
        """Returns the accepted media types without parameters; everything when the header is missing."""
        text = self.headers.get("accept", "*/*")
        return tuple(part.partition(";")[0].strip().lower() for part in text.split(","))


def parsed_body(data: bytes) -> Any:
    """Returns the JSON object of a body, None when it is empty; RefusedError 400 for anything else, NaN included."""
    if not data:
        return None

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        value = json.loads(data.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError):
        raise RefusedError(400, "Problems parsing JSON") from None
    if not isinstance(value, dict):
        raise RefusedError(400, "Body should be a JSON object")
    return value
