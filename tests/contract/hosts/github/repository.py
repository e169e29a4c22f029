"""A git repository with one change of every kind, made with git itself."""

import os
import subprocess
from pathlib import Path

WIDE_MODULE = "".join(f"value_{n} = {n}\n" for n in range(1, 61))
LFS_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
ODD_PATH = "odd/a b#c%d?é.txt"


class Repository:
    """A repository under `path`; every method leaves the work tree clean."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, stdin: str | None = None) -> str:
        identity = {
            f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        dates = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
        environment = (
            {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(self.path)} | identity | dates
        )
        command = ["git", "-c", "core.autocrlf=false", "-c", "commit.gpgsign=false", *arguments]
        done = subprocess.run(
            command, cwd=self.path, env=environment, input=stdin, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, path: str, content: str | bytes) -> None:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str) -> str:
        self.git("add", "-A", ".")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")


def changed_lines(*numbers: int) -> str:
    lines = WIDE_MODULE.splitlines()
    for number in numbers:
        lines[number - 1] = f"value_{number} = {number} * 2"
    return "\n".join(lines) + "\n"


def small(path: Path) -> Repository:
    """main, and topic with two later pushes: topic-1 (lines 5 and 30 of wide.py), topic-2 and topic-3 add line 55."""
    repository = Repository(path)
    repository.write("wide.py", WIDE_MODULE)
    repository.write("gone.py", "old = 1\n")
    repository.commit("start")
    repository.git("checkout", "-q", "-b", "topic")
    repository.write("wide.py", changed_lines(5, 30))
    repository.write("new.py", "fresh = 1\nalso = 2\n")
    repository.commit("first")
    repository.git("tag", "topic-1")
    repository.write("wide.py", changed_lines(5, 30, 55))
    repository.commit("second")
    repository.git("tag", "topic-2")
    repository.write("new.py", "fresh = 1\nalso = 2\nthird = 3\n")
    repository.commit("third")
    repository.git("tag", "topic-3")
    repository.git("checkout", "-q", "main")
    repository.git("checkout", "-q", "-b", "rewritten")
    repository.write("wide.py", changed_lines(5))
    repository.commit("another history")
    repository.git("checkout", "-q", "main")
    return repository


def all_kinds(path: Path) -> Repository:
    """main and topic, between which every kind of change lies; main has moved on since."""
    repository = Repository(path)
    repository.write("modified.py", WIDE_MODULE)
    repository.write("removed.py", "bye = 1\n")
    repository.write("pure/old.txt", "pure\n" * 20)
    repository.write("edited/old.txt", "same\n" * 20)
    repository.write("script.sh", "echo hi\n")
    repository.write("target.txt", "secret of the target\n")
    (repository.path / "link").symlink_to("target.txt")
    repository.write("picture.png", b"\x89PNG\0\1\2")
    repository.git("add", "-A")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor")
    repository.git("commit", "-q", "-m", "start")
    repository.git("checkout", "-q", "-b", "topic")
    repository.write("modified.py", changed_lines(7))
    (repository.path / "removed.py").unlink()
    repository.git("mv", "pure/old.txt", "pure/new.txt")
    repository.git("mv", "edited/old.txt", "edited/new.txt")
    repository.write("edited/new.txt", "same\n" * 19 + "other\n")
    (repository.path / "script.sh").chmod(0o755)
    (repository.path / "link").unlink()
    (repository.path / "link").symlink_to("modified.py")
    repository.write("picture.png", b"\x89PNG\0\3\4\5")
    repository.write("big.txt", "x" * 1_000_001 + "\n")
    repository.write("empty.txt", "")
    repository.write("weights.bin", LFS_POINTER)
    repository.write(ODD_PATH, "odd\n")
    repository.write("crlf.txt", "one\r\ntwo\r\n")
    repository.git("add", "-A")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'2' * 40},vendor")
    repository.git("commit", "-q", "-m", "everything")
    repository.git("checkout", "-q", "-f", "main")
    repository.write("modified.py", WIDE_MODULE + "later = 1\n")
    repository.git("add", "modified.py")
    repository.git("commit", "-q", "-m", "main moves on")
    return repository
