"""The stand-in for a provider: as fast as it can be, so that what is measured is what stands before it.

`python -m bench.gateway.provider PORT` answers POST /v1/chat/completions with one fixed completion of about 2 KB, or,
with "stream": true, with one piece a second until the client goes. It is not strict: emulators/ are for that.
"""

import asyncio
import json
import sys
from typing import Any

import httptools
import uvloop

TEXT = json.dumps({"findings": [{"path": f"src/file_{i}.py", "quote": "x" * 60, "title": "t" * 40} for i in range(12)]})
ANSWER = {
    "id": "chatcmpl-bench",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "bench-model",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": TEXT, "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 700, "completion_tokens": 400, "total_tokens": 1100},
}
BODY = json.dumps(ANSWER).encode()
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
MODELS = json.dumps({"object": "list", "data": [{"id": "bench-model", "object": "model"}]}).encode()
LIST = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(MODELS), MODELS)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = {
    "id": "chatcmpl-bench",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "bench-model",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "word "}, "finish_reason": None}],
}


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


EVENT = _chunk(b"data: " + json.dumps(PIECE).encode() + b"\n\n")


class _Provider(asyncio.Protocol):
    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._url = b""
        self._transport: Any = None  # uvloop's transports are none of asyncio's classes
        self._ticking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._ticking is not None:
            self._ticking.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        if self._url.endswith(b"/models"):
            self._transport.write(LIST)
        elif b'"stream":true' in body or b'"stream": true' in body:
            self._transport.write(HEAD)
            self._tick()
        else:
            self._transport.write(WHOLE)

    def _tick(self) -> None:
        self._transport.write(EVENT)
        self._ticking = asyncio.get_running_loop().call_later(1.0, self._tick)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Provider, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
