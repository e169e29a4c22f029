"""Git as `lintel review` asks it: nobody's configuration, no program of the repository's, nothing written."""

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click

from cli.review.errors import NotCompletedError
from services.kit.diff.git import diff_command, git_command, git_environment

_FILTER = re.compile(rb"^filter\.(.+)\.(?:clean|smudge|process|required)$", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as it was found; `root` is where git is started: the top of the working tree, or a bare one."""

    root: Path
    git_dir: Path
    is_bare: bool
    environment: Mapping[str, str]

    @property
    def name(self) -> str:
        """What to call it in lists."""
        return (self.root.name.removesuffix(".git") or "repository")[:300]

    def run(self, *words: str, given: bytes | None = None, extra: Mapping[str, str] | None = None) -> bytes:
        """Run git and answer what it prints; raises NotCompletedError with git's own words when it fails."""
        done = self._start(git_command(*words), given, extra)
        if done.returncode != 0:
            raise NotCompletedError(f"git {words[0]} failed: {_reason(done.stderr)}")
        return done.stdout

    def ask(self, *words: str) -> str | None:
        """Run git and answer its first line; None when it fails, which is an answer too."""
        done = self._start(git_command(*words), None, None)
        return os.fsdecode(done.stdout).strip("\n") if done.returncode == 0 else None

    def commit(self, revision: str) -> str | None:
        """Answer the commit that a revision names, None when it names none."""
        return self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")

    def tracks(self, path: Path) -> bool:
        """Tell whether a file belongs to the repository."""
        return self.ask("ls-files", "--error-unmatch", "--", str(path)) is not None

    @property
    def is_shallow(self) -> bool:
        """Whether history was cut off when it was cloned."""
        return self.ask("rev-parse", "--is-shallow-repository") == "true"

    def diff(self, *words: str, limit: int, extra: Mapping[str, str] | None = None) -> bytes:
        """Answer a diff of at most `limit` bytes. Raises click.UsageError for a larger one, NotCompletedError."""
        with (
            tempfile.TemporaryFile() as errors,  # a pipe that nobody reads would stop git after many warnings
            subprocess.Popen(
                diff_command(*words),
                cwd=self.root,
                env={**self.environment, **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as process,
        ):
            found = _output(process).read(limit + 1)
            if len(found) > limit:
                process.kill()
                raise click.UsageError(
                    f"the diff is larger than {limit >> 20} MiB; name a smaller range, or ignore what is generated"
                )
            if process.wait() != 0:
                errors.seek(0)
                raise NotCompletedError(f"git diff failed: {_reason(errors.read())}")
        return found

    def _start(
        self, command: list[str], given: bytes | None, extra: Mapping[str, str] | None
    ) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment, **(extra or {})},
            input=given or b"",
            capture_output=True,
            check=False,
        )


def find_repository(path: Path, inherited: Mapping[str, str]) -> Repository | None:
    """Answer the repository that holds `path`, None when none does. Raises click.UsageError when git is missing.

    Whoever owns it: git's guard against strangers' repositories is about what these can start, and that is off here.
    """
    directory = path if path.is_dir() else path.parent
    asked = ["rev-parse", "--is-bare-repository", "--absolute-git-dir", "--is-inside-work-tree"]
    environment = git_environment(inherited)
    try:
        found = subprocess.run(git_command(*asked), cwd=directory, env=environment, capture_output=True, check=False)
    except FileNotFoundError:
        raise click.UsageError("git is not installed; on Debian: apt install git") from None
    except OSError as error:
        raise click.UsageError(f"{path} can't be entered: {error.strerror}") from None
    if found.returncode != 0:
        return None
    bare, git_dir, inside = os.fsdecode(found.stdout).splitlines()[:3]
    root = Path(git_dir)
    if inside == "true":
        top = subprocess.run(
            git_command("rev-parse", "--show-toplevel"), cwd=directory, env=environment, capture_output=True, check=True
        )
        root = Path(os.fsdecode(top.stdout).removesuffix("\n"))
    elif bare != "true":
        return find_repository(Path(git_dir).parent, inherited) if Path(git_dir).name == ".git" else None
    safe = Repository(root, Path(git_dir), bare == "true" and inside != "true", environment)
    return Repository(safe.root, safe.git_dir, safe.is_bare, environment | _settings(safe, inherited))


def _settings(repository: Repository, inherited: Mapping[str, str]) -> dict[str, str]:
    """Answer the environment that switches off the repository's filters and knows what the user ignores everywhere."""
    names = repository._start(git_command("config", "--null", "--name-only", "--list"), None, None).stdout.split(b"\0")
    drivers = {match[1] for name in names if (match := _FILTER.match(name))}
    settings = [("core.splitIndex", "false")]  # else a shared part would be written beside the user's index
    for driver in sorted(os.fsdecode(driver) for driver in drivers):
        settings += [(f"filter.{driver}.{key}", "") for key in ("clean", "smudge", "process")]
        settings.append((f"filter.{driver}.required", "false"))
    if ignored := _ignored_everywhere(inherited):
        settings.append(("core.excludesFile", ignored))
    numbered = {f"GIT_CONFIG_KEY_{n}": key for n, (key, _) in enumerate(settings)}
    values = {f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in enumerate(settings)}
    return {"GIT_CONFIG_COUNT": str(len(settings)), **numbered, **values}


def _ignored_everywhere(inherited: Mapping[str, str]) -> str | None:
    """Answer the user's own list of ignored files: it says which untracked files are meant, and starts nothing."""
    home = inherited.get("HOME")
    kept = {name: inherited[name] for name in ("PATH", "HOME", "XDG_CONFIG_HOME") if name in inherited}
    done = subprocess.run(
        ["git", "config", "--type=path", "--get", "core.excludesFile"],
        cwd="/",
        env=kept | {name: inherited[name] for name in inherited if name.startswith("GIT_CONFIG_")},
        capture_output=True,
        check=False,
    )
    if done.returncode == 0:
        return os.fsdecode(done.stdout).removesuffix("\n")
    base = inherited.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    return f"{base}/git/ignore" if base else None


def _output(process: "subprocess.Popen[bytes]") -> IO[bytes]:
    if process.stdout is None:
        raise RuntimeError("the process was started without a pipe")
    return process.stdout


def _reason(stderr: bytes) -> str:
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return "; ".join(lines[:3])[:500] or "it gave no reason"
