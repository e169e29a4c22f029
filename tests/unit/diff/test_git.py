"""Diffs come out the same whatever the configuration says, and start no program it names."""

import os
import subprocess
from pathlib import Path

import pytest

from services.kit.diff.git import diff_command, git_command, git_environment
from services.kit.diff.parser import parse_diff

HOSTILE = {
    "diff.noprefix": "true",
    "diff.mnemonicPrefix": "true",
    "diff.context": "0",
    "diff.interHunkContext": "9",
    "diff.renames": "false",
    "diff.algorithm": "patience",
    "diff.relative": "true",
    "diff.submodule": "log",
    "diff.suppressBlankEmpty": "true",
    "color.ui": "always",
    "color.diff": "always",
    "core.quotePath": "false",
    "core.pager": "touch pager-ran; cat",
}


def _run(folder: Path, command: list[str], environment: dict[str, str] | None = None) -> bytes:
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A work tree with a committed file, renamed and edited since, and one that is only edited."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    _run(folder, git_command("init", "--quiet"), git_environment())
    (folder / ".gitattributes").write_text("*.txt diff=shown\n")
    (folder / "caf\u00e9.txt").write_text("".join(f"line {n}\n\n" for n in range(30)))
    (folder / "old.txt").write_text("".join(f"other {n}\n" for n in range(30)))
    _run(folder, git_command("add", "--all"), git_environment())
    commit = git_command("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--message=m")
    _run(folder, commit, git_environment())
    (folder / "caf\u00e9.txt").write_text("".join(f"line {n}\n\n" for n in range(30) if n not in (5, 12)))
    (folder / "old.txt").rename(folder / "new.txt")
    with (folder / "new.txt").open("a") as file:
        file.write("more\n")
    _run(folder, git_command("add", "--intent-to-add", "new.txt"), git_environment())
    return folder


def test_configuration_changes_nothing_and_starts_nothing(checkout: Path, tmp_path: Path) -> None:
    clean = _run(checkout, diff_command("HEAD"), git_environment())
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/program-ran'\n")
    program.chmod(0o755)
    order = tmp_path / "order"
    order.write_text("old.txt\nnew.txt\n")
    programs = {"diff.external", "diff.shown.textconv", "diff.shown.command", "core.fsmonitor"}
    settings = HOSTILE | dict.fromkeys(programs, str(program)) | {"diff.orderFile": str(order)}
    for name, value in settings.items():
        _run(checkout, git_command("config", name, value), git_environment())
    home = {"HOME": str(tmp_path), "GIT_EXTERNAL_DIFF": str(program), "GIT_DIFF_OPTS": "-u0"}

    plain = _run(checkout, ["git", "diff", "HEAD"], dict(os.environ) | home)
    assert plain != clean
    assert (tmp_path / "program-ran").exists(), "the trap must work for the rest to mean something"
    (tmp_path / "program-ran").unlink()

    assert _run(checkout, diff_command("HEAD"), git_environment(dict(os.environ) | home)) == clean
    assert not (tmp_path / "program-ran").exists()
    files = {file.path: file.status.value for file in parse_diff(clean)}
    assert files == {"caf\u00e9.txt".encode(): "modified", b"new.txt": "renamed"}


def test_the_users_configuration_is_not_read(tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = somebody\n")
    inherited = dict(os.environ) | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    listed = _run(tmp_path, git_command("config", "--list", "--show-scope"), git_environment(inherited))
    assert {line.split(b"\t")[0] for line in listed.splitlines()} == {b"command"}


def test_paths_are_spelt_both_ways(checkout: Path) -> None:
    quoted = _run(checkout, diff_command("HEAD"), git_environment())
    plain = _run(checkout, diff_command("HEAD", quote_path=False), git_environment())
    assert b'"a/caf\\303\\251.txt"' in quoted
    assert "a/caf\u00e9.txt".encode() in plain
    assert list(parse_diff(quoted)) == list(parse_diff(plain))


def test_the_environment_carries_nothing_else() -> None:
    made = git_environment({"PATH": "/bin", "GIT_DIR": "/elsewhere", "SECRET": "s", "HOME": "/h"})
    assert made["PATH"] == "/bin"
    assert not made.keys() & {"GIT_DIR", "SECRET", "HOME"}
