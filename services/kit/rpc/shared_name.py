"""A socket's name that any number of processes may have, for roles that nobody calls but to ask how they are.

Each listens on a socket of its own; the name is a link to that of one who lives. Whoever finds that it leads nowhere
takes it. Over a network DNS does this, and nothing of it is used.
"""

import contextlib
import os
import socket
import time
from pathlib import Path

_OLD_SECONDS = 60.0  # a socket that nobody listens on; a younger one may be on its way
_PROBE_SECONDS = 0.2


class SharedName:
    """The name `path` as one process sees it; `own` is where that process listens."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.own = path.with_name(f"{path.stem}.{os.urandom(4).hex()}.sock")

    def keep(self) -> None:
        """Have the name lead here unless it leads to somebody who lives; to be called now and then."""
        if _is_answered(self._path):
            return
        link = self._path.with_name(f".{self.own.name}")
        link.symlink_to(self.own.name)
        link.replace(self._path)

    def clear(self) -> None:
        """Remove what dead processes left."""
        for path in self._path.parent.glob(f"{self._path.stem}.*.sock"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _OLD_SECONDS and not _is_answered(path):
                    path.unlink()

    def release(self) -> None:
        """Let go of the name, if it leads here."""
        with contextlib.suppress(OSError):
            if self._path.readlink() == Path(self.own.name):
                self._path.unlink()


def _is_answered(path: Path) -> bool:
    """Tell whether somebody listens there; one who is slow to answer does."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except TimeoutError:
            return True
        except OSError:
            return False
    return True
