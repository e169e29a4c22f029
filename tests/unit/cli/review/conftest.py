"""Fixtures of the tests of `lintel review`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.review.repositories import Made


@pytest.fixture
def repository(tmp_path: Path) -> Made:
    made = Made(tmp_path / "made")
    made.commit({"kept.py": "one = 1\n", "gone.py": "old = 1\n", "script.sh": "echo hello\n"})
    return made


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    return lambda name, *options: Made(tmp_path / name, *options)
