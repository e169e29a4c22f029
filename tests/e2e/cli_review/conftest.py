"""One system for the tests of this folder, and repositories made for each."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.embedded import Embedded
from tests.e2e.cli_review.lines import environment
from tests.unit.cli.review.repositories import Made


@pytest.fixture(scope="module")
def system() -> Iterator[Embedded]:
    state = Path(tempfile.mkdtemp(prefix="lt-"))
    state.chmod(0o755)
    try:
        with Embedded(state) as running:
            yield running
    finally:
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def local(system: Embedded, tmp_path: Path) -> dict[str, str]:
    """The environment in which the system is found by its state directory."""
    return environment(tmp_path, {"LINTEL_STATE_DIR": str(system.layout.state)})


@pytest.fixture
def repository(tmp_path: Path) -> Made:
    made = Made(tmp_path / "made")
    made.commit({"kept.py": "one = 1\n", "gone.py": "old = 1\n"})
    return made
