"""Repositories made for one test, and what must be the same in them afterwards."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


class Made:
    """A git repository of a test; git runs without the tester's own configuration."""

    def __init__(self, path: Path, *options: str) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(path.parent),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{
                f"GIT_{who}_{what}": "t@example.invalid"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }
        self.git("init", "-q", "-b", "main", *options)

    def git(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(["git", *words], cwd=self.path, env=self.environment, check=check, capture_output=True)
        return os.fsdecode(done.stdout).strip()

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files, None removes; a name may hold any bytes, as os.fsdecode makes them."""
        for name, content in files.items():
            file = Path(f"{self.path}/{name}")
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes | None]) -> str:
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def trace(self) -> tuple[object, ...]:
        """What a mere look must not change: every file of .git with size and time, and what git says."""
        files = {
            str(file.relative_to(self.path)): (file.lstat().st_size, file.lstat().st_mtime_ns)
            for file in sorted((self.path / ".git").rglob("*"))
        }
        return files, self.git("--no-optional-locks", "status", "--porcelain", "-z", "--untracked-files=all")
