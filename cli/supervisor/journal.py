"""The supervisor's own log: JSON lines of the same shape as the application's."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from cli.supervisor.logfile import RotatingLog


class Journal:
    """Writes one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._log = RotatingLog(path)

    def write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Append one line."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = json.dumps({"event": event, "level": level, "timestamp": now, "logger": "supervisor", **fields})
        self._log.write(line.encode() + b"\n")
