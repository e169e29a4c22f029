"""Answers without a wire format: what a model says, how a provider fails, any bytes. Each wire has its own shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}

Finish = Literal["stop", "length", "filter", "refusal", "tool", "none"]
# How a stream ends: as it should, cleanly without a mark, in half a line, cut, silent, or with an error event.
StreamEnd = Literal["whole", "no_mark", "half_line", "cut", "stall", "error"]


@dataclass(frozen=True)
class Reply:
    """One answer in bytes. With `end` cut or stall only `body` is sent, of which the head promises more."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: dict(JSON))
    end: Literal["whole", "cut", "stall"] = "whole"
    silent: bool = False  # with cut or stall: not even the head is sent
    chunked: bool = False  # a stream: its head promises no length


@dataclass(frozen=True)
class Said:
    """What a model says; anything but text is sent as JSON text.

    `cached` and `written` tokens are among `input`, `reasoning` among `output`, whatever the wire's convention;
    `counted` False leaves the usage out. `end` and `comments` are for streams; `error` is the kind of an error event.
    """

    text: Any
    finish: Finish = "stop"
    input: int | None = None  # None: as long as the prompt is
    output: int = 25
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    counted: bool = True
    end: StreamEnd = "whole"
    error: str = "overloaded"
    comments: bool = False
    thought: str = ""  # what the model thinks aloud, where the wire has a place for it


@dataclass(frozen=True)
class Failed:
    """How a provider fails; `kind` is one of auth, permission, payment, quota, not_found, bad_request, context, filter,
    rate_limit, overloaded, server. `retry` are the seconds that it asks to wait, in the wire's own way.
    """

    status: int
    kind: str = "server"
    message: str = "the emulator was told to fail"
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry: str | None = None


def raw(body: bytes | str, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer any bytes."""
    data = body.encode() if isinstance(body, str) else body
    return Reply(status, data, dict(JSON if headers is None else headers))


def cut(body: bytes = b"", *, silent: bool = False) -> Reply:
    """Reset the connection after the first bytes of an answer, or before any with `silent`."""
    return Reply(200, body, end="cut", silent=silent)


def stall(body: bytes = b"", *, silent: bool = False) -> Reply:
    """Send the first bytes and then nothing until the emulator stops or the client goes."""
    return Reply(200, body, end="stall", silent=silent)
