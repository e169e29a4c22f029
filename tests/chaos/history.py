"""The repository under review: a base and, for each pull request, a row of heads, made in one go from a seed."""

import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.outside import NEEDLE

_WHO = b"C <c@example.invalid> 1700000000 +0000"


@dataclass(frozen=True, slots=True)
class Change:
    """The heads that a pull request gets, in this order."""

    base: str
    heads: tuple[str, ...]


def write_history(path: Path, pull_requests: int, pushes: int, chance: random.Random) -> list[Change]:
    """Make a bare repository; each head brings a file of its own, in which an analyzer and the model find something.

    A third of the pushes is forced: the heads before are not in the new one's history.
    """
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    names = [(number, push) for number in range(pull_requests) for push in range(pushes)]
    forced = {name for name in names if name[1] and chance.random() < 1 / 3}
    stream = b"".join(_stream(names, forced))
    subprocess.run(["git", "-C", str(path), "fast-import", "--quiet"], input=stream, check=True)
    listed = subprocess.run(
        ["git", "-C", str(path), "for-each-ref", "--format=%(refname) %(objectname)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    commits = dict(line.split(" ") for line in listed.splitlines())
    return [
        Change(commits["refs/heads/main"], tuple(commits[_ref(number, push)] for push in range(pushes)))
        for number in range(pull_requests)
    ]


def _ref(number: int, push: int) -> str:
    return f"refs/heads/p{number}-{push}"


def _stream(names: list[tuple[int, int]], forced: set[tuple[int, int]]) -> Iterator[bytes]:
    yield _commit("refs/heads/main", None, {"app.py": "def add(a, b):\n    return a + b\n"})
    for number, push in names:
        parent = "refs/heads/main" if not push or (number, push) in forced else _ref(number, push - 1)
        body = (
            f"import subprocess\n\n\ndef run_{number}_{push}(name):\n"
            f'    subprocess.run("ls {number} {push} " + name, shell=True)\n'
            f"    return name  # {NEEDLE} {number} {push}\n"
        )
        yield _commit(_ref(number, push), parent, {f"pull{number}/push{push}.py": body})


def _commit(ref: str, parent: str | None, files: dict[str, str]) -> bytes:
    start = f" {parent}\n" if parent else ""
    head = f"commit {ref}\ncommitter ".encode() + _WHO + f"\ndata {len(ref)}\n{ref}\n".encode()
    head += f"from{start}".encode() if parent else b""
    for name, text in files.items():
        head += f"M 100644 inline {name}\ndata {len(text.encode())}\n{text}\n".encode()
    return head
