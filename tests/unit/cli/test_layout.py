"""The state directory is made by whoever comes first, and by several at once."""

from pathlib import Path

import pytest

from cli.layout import Layout


def test_a_second_process_that_makes_the_state_directory_at_the_same_time_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / "deep" / "state")
    layout.make()
    monkeypatch.setattr(Path, "exists", lambda _: False)  # what the slower of two saw before the other made it
    layout.make()
    assert layout.logs.is_dir()
    assert layout.run.is_dir()


def test_a_file_in_the_place_of_the_state_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(OSError, match="state"):
        Layout(tmp_path / "state").make()
