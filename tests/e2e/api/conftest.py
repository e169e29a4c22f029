"""One whole system behind Envoy for the tests of the API as strangers, contributors and owners meet it."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cli.embedded import Embedded


@dataclass(frozen=True)
class Api:
    """The edge's address, the owner's key, and the document it serves."""

    url: str
    key: str
    document: dict[str, Any]

    def headers(self, caller: str) -> dict[str, str]:
        """Answer what a caller of this kind sends along."""
        return {"authorization": f"Bearer {self.key}"} if caller == "owner" else {}


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    """Run Postgres, Envoy and every role on free ports, with a state of their own."""
    with tempfile.TemporaryDirectory(prefix="lt-") as state:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("API_", "LINTEL_"))}
        with Embedded(Path(state), env={**environment, "LINTEL_STATE_DIR": state}) as system:
            url = system.status.url("edge")
            assert url is not None
            yield Api(url, system.api_key, httpx2.get(f"{url}/openapi.json", trust_env=False).json())
