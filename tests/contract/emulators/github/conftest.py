"""A repository with one of each kind of change, an emulator over it, and a client that talks to it over a socket."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest

from emulators.github import GitHubEmulator, Limits
from tests.contract.emulators.github.support import HEADERS, SUBMODULE, TOKEN, Bench, History, Repository, numbered

Make = Callable[..., Awaitable[Bench]]


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    repo = Repository(tmp_path_factory.mktemp("emulator") / "repo")
    lines = numbered(40)
    repo.write("app.py", "".join(lines))
    repo.write("docs/pure name.md", "".join(numbered(12)))
    repo.write("edited.py", "".join(f"value_{n} = {n}\n" for n in range(20)))
    repo.write("gone.py", "one\ntwo\n")
    repo.write("image.bin", b"\0\1\2" * 50)
    repo.write("script.sh", "#!/bin/sh\n")
    repo.write("tricky.txt", "a\n-- b\n++ c\n@@ -1 +1 @@\ndiff --git a/x b/x\n")
    repo.write("crlf.txt", b"one\r\ntwo\rthree\x0cfour\r\nfive\r\n")
    repo.write("becomes-link", "text\n")
    repo.write(".gitmodules", '[submodule "lib"]\n\tpath = lib\n\turl = https://example.org/lib.git\n')
    for name, target in (("link", "app.py"), ("dangling", "nowhere"), ("outside", "../secret"), ("to-dir", "docs")):
        (repo.path / name).symlink_to(target)
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{SUBMODULE[0]},lib")
    repo.git("add", "-A", "--", ":!lib")
    repo.git("commit", "-q", "-m", "base")
    base = repo.git("rev-parse", "HEAD")
    repo.git("checkout", "-q", "-b", "topic")

    def commit(message: str) -> str:
        repo.git("add", "-A", "--", ":!lib")
        repo.git("commit", "-q", "-m", message)
        return repo.git("rev-parse", "HEAD")

    changed = list(lines)
    changed[4] = "five\n"
    repo.write("app.py", "".join(changed))
    first = commit("change line 5")

    del changed[29]
    repo.write("app.py", "".join(changed))
    repo.git("mv", "docs/pure name.md", "docs/new näme.md")
    repo.git("mv", "edited.py", "renamed.py")
    repo.write("renamed.py", "".join(f"value_{n} = {n}\n" for n in range(20)).replace("value_7 ", "seven "))
    (repo.path / "gone.py").unlink()
    repo.write("image.bin", b"\0\1\3" * 50)
    (repo.path / "script.sh").chmod(0o755)
    repo.write("tricky.txt", "a\n++ c\n+++ b/evil\n@@ -1 +1 @@\n--- a/evil\ndiff --git a/x b/x")
    repo.write("crlf.txt", b"one\r\ntwo\rTHREE\x0cfour\r\nfive\r\n")
    (repo.path / "becomes-link").unlink()
    (repo.path / "becomes-link").symlink_to("app.py")
    repo.write("latin.txt", b"caf\xe9\n")
    repo.git("update-index", "--cacheinfo", f"160000,{SUBMODULE[1]},lib")
    head = commit("the rest")

    repo.write("app.py", "new first line\n" + "".join(changed))
    later = commit("shift app.py by one")

    repo.git("checkout", "-q", "-f", "-B", "forced", first)
    repo.git("commit", "-q", "--amend", "-m", "rewritten")
    forced = repo.git("rev-parse", "HEAD")
    repo.git("checkout", "-q", "-f", "main")
    repo.write("only-on-main.txt", "x\n")
    main = commit("main moves on")
    return History(repo, base, main, first, head, forced, later)


@pytest.fixture
async def make_bench(history: History) -> AsyncIterator[Make]:
    opened: list[Bench] = []

    async def make(limits: Limits | None = None, clock: Callable[[], float] | None = None) -> Bench:
        path = history.repository.path
        emulator = GitHubEmulator(path, "acme", "shop", TOKEN, limits=limits, clock=clock or time.time)
        pull = await emulator.open_pull(history.head, "main", title="Tidy up", body="why")
        url = await emulator.start()
        client = httpx2.AsyncClient(base_url=url, headers=HEADERS, trust_env=False, verify=False)
        opened.append(Bench(emulator, client, pull, history))
        return opened[-1]

    yield make
    for bench in opened:
        await bench.client.aclose()
        await bench.emulator.stop()


@pytest.fixture
async def bench(make_bench: Make) -> Bench:
    return await make_bench()
