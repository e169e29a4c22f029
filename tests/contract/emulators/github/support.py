"""What the tests of the emulator share: a scratch repository, its history, and an emulator with a client."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx2

from emulators.github import GitHubEmulator, PullRequest

TOKEN = "ghs_1234_abc.def-ghi"
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "emulator-tests",
}
SUBMODULE = "1" * 40, "2" * 40


class Repository:
    """A scratch repository written through git."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, data: bytes | None = None) -> str:
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(self.path), *identity, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, input=data, env=environment)
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def write(self, name: str, content: bytes | str) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@dataclass(frozen=True)
class History:
    """The commits of the fixture: base and its first child on main, then the topic branch up to the head."""

    repository: Repository
    base: str
    main: str
    first: str
    head: str
    forced: str
    later: str


def numbered(count: int) -> list[str]:
    return [f"line {number}\n" for number in range(1, count + 1)]


@dataclass
class Bench:
    """An emulator with one open pull request, and a client with the bot's token."""

    emulator: GitHubEmulator
    client: httpx2.AsyncClient
    pull: PullRequest
    history: History

    @property
    def repo(self) -> str:
        return "/repos/acme/shop"

    @property
    def api(self) -> str:
        return f"{self.repo}/pulls/{self.pull.number}"

    def as_user(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    async def review(self, **body: object) -> httpx2.Response:
        return await self.client.post(f"{self.api}/reviews", json=body)
