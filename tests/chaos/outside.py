"""`python -m tests.chaos.outside github|openai …`: an emulator as a process of its own, driven over a unix socket.

A request is one line of JSON, [method, arguments]; so is the answer, [true, value] or [false, words]. The methods are
those of `GitHubEnd` and `ModelEnd`.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from emulators.github import GitHubEmulator, Limits
from emulators.openai import OpenAIEmulator
from emulators.openai.reviewer import needle_reviewer
from emulators.openai.shapes import ChatRequest

NEEDLE = "FIXME"
MODEL = "chaos-1"
_LINE_LIMIT = 1 << 26
_GENEROUS = Limits(
    requests_per_hour=1_000_000, points_per_minute=1_000_000, content_per_minute=100_000, content_per_hour=1_000_000
)
_FILE = re.compile(r"pull(\d+)/push(\d+)\.py")  # of tests.chaos.history: the newest head names itself
_BORDER = re.compile(r"DATA-[0-9a-f]{24}")


class GitHubEnd:
    """The code host: pull requests are opened and pushed to, it is made to fail, and asked what was posted."""

    def __init__(self, repository: str, token: str) -> None:
        self._emulator = GitHubEmulator(repository, "acme", "shop", token, limits=_GENEROUS)
        self._orders: list[Any] = []

    async def start(self) -> str:
        return await self._emulator.start()

    async def stop(self) -> None:
        with contextlib.suppress(AssertionError):  # told by `record`
            await self._emulator.stop()

    async def open_pull(self, head: str, base: str, number: int | None = None) -> int:
        return (await self._emulator.open_pull(head=head, base=base, number=number)).number

    async def push(self, number: int, head: str) -> None:
        await self._emulator.set_head(number, head)

    async def close(self, number: int) -> None:
        self._emulator.close(number)

    async def reopen(self, number: int) -> None:
        self._emulator.reopen(number)

    async def webhook(self, action: str, number: int, secret: str) -> dict[str, Any]:
        delivery = self._emulator.webhook(action, number, secret=secret)
        return {"headers": dict(delivery.headers), "body": delivery.body.decode()}

    async def fail(self, operation: str, when: Literal["before", "after"], how: str, times: int = 1) -> None:
        """Order failures; `how` is a status, close or stall."""
        action: Any = how if how in ("close", "stall") else "respond"
        headers = {"retry-after": "1"} if how == "429" else None
        status = int(how) if action == "respond" else None
        self._orders.append(
            self._emulator.fail(operation, status=status, headers=headers, when=when, action=action, times=times)
        )

    async def heal(self) -> int:
        """Drop all orders to fail, and answer how often one was met."""
        self._emulator.heal()
        return sum(order.hits for order in self._orders)

    async def open_requests(self) -> int:
        return sum(not request.finished for request in self._emulator.requests)

    async def record(self) -> dict[str, Any]:
        """Answer what is on the host, and what clients did there."""
        host = self._emulator
        pulls = {}
        for number in sorted(host._host.state.pulls):
            pull = host.pull(number)
            reviews = [
                {"id": r.id, "body": r.body, "state": r.state, "commit": r.commit_id, "user": r.user.login}
                for pending in (False, True)
                for r in host.reviews(number, pending=pending)
            ]
            comments = [
                {"id": c.id, "review": c.review_id, "path": c.path, "body": c.body, "line": c.anchor and c.anchor.line}
                for c in host.review_comments(number)
            ]
            pulls[number] = {
                "head": pull.head_sha,
                "former_heads": list(pull.former_heads),
                "open": pull.state == "open",
                "reviews": reviews,
                "comments": comments,
                "issue_comments": [c.body for c in host.issue_comments(number)],
            }
        return {
            "bot": host.bot.login,
            "pulls": pulls,
            "requests": len(host.requests),
            "violations": [f"{v.operation}: {v.message}" for v in host.violations] + host.defects,
        }


class _SlowModel(OpenAIEmulator):
    """Takes its time over each answer, so that there is something in flight to be hit."""

    seconds = 0.0
    open = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not scope["path"].endswith("/chat/completions"):
            await super().__call__(scope, receive, send)
            return
        self.open += 1
        try:
            await asyncio.sleep(self.seconds)
            await super().__call__(scope, receive, send)
        finally:
            self.open -= 1


class ModelEnd:
    """The model: it remembers when it answered what. Two calls are the same if only their random border differs."""

    def __init__(self, key: str, seconds: float) -> None:
        self._emulator = _SlowModel(self._answer, key=key, models=(MODEL,))
        self._emulator.seconds = seconds
        self._reviewer = needle_reviewer(NEEDLE)
        self._calls: list[dict[str, Any]] = []

    async def start(self) -> str:
        return await self._emulator.start()

    async def stop(self) -> None:
        await self._emulator.stop()

    async def open_requests(self) -> int:
        return self._emulator.open

    async def record(self) -> dict[str, Any]:
        return {"calls": self._calls, "violations": self._emulator.violations}

    def _answer(self, chat: ChatRequest) -> Any:
        said = _BORDER.sub("", f"{chat.system}\0{chat.user}")
        number, push = max((int(n), int(p)) for n, p in _FILE.findall(chat.user))
        what = hashlib.sha256(said.encode()).hexdigest()[:24]
        self._calls.append({"what": what, "number": number + 1, "push": push, "time": time.time()})
        return self._reviewer(chat)


async def control(end: Any, path: Path) -> asyncio.Server:
    """Serve the methods of `end` on a unix socket."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            name, arguments = json.loads(line)
            try:
                answer = [True, await getattr(end, name)(*arguments)]
            except Exception as error:
                answer = [False, f"{type(error).__name__}: {error}"]
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(serve, str(path), limit=_LINE_LIMIT)


class Remote:
    """The other end of `control`: `await remote("push", 3, sha)`. Raises RuntimeError with the far side's words."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()

    async def __call__(self, name: str, *arguments: Any) -> Any:
        async with self._lock:
            if self._streams is None:
                self._streams = await asyncio.open_unix_connection(str(self._path), limit=_LINE_LIMIT)
            reader, writer = self._streams
            writer.write(json.dumps([name, arguments]).encode() + b"\n")
            done, value = json.loads(await reader.readline())
        if not done:
            raise RuntimeError(f"{name}: {value}")
        return value


async def _run(end: Any, path: Path) -> None:
    done = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    url = await end.start()
    async with await control(end, path):
        print(url, flush=True)
        await done.wait()
    await end.stop()


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.outside", description=__doc__)
    parser.add_argument("which", choices=("github", "openai"))
    parser.add_argument("--control", required=True, type=Path)
    parser.add_argument("--secret", required=True, help="the token, or the key, that clients must send")
    parser.add_argument("--repository", default="")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long the model takes over an answer")
    given = parser.parse_args(argv)
    end: Any = (
        GitHubEnd(given.repository, given.secret) if given.which == "github" else ModelEnd(given.secret, given.seconds)
    )
    asyncio.run(_run(end, given.control))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
