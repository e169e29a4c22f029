"""`lintel clean` on the files of a state directory that does not run."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.commands.system import clean
from cli.layout import Layout


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    made.api_key.write_text("a key\n")
    monkeypatch.setenv("LINTEL_STATE_DIR", str(made.state))
    return made


@pytest.mark.parametrize("answer", ["", "n\n", "what\n"])
def test_without_a_yes_nothing_is_deleted_and_the_option_is_named(layout: Layout, answer: str) -> None:
    result = CliRunner().invoke(clean, input=answer)
    assert result.exit_code == 1
    assert "nothing was changed; --yes goes on without asking" in result.output
    assert layout.api_key.exists()


@pytest.mark.parametrize(("arguments", "answer"), [([], "y\n"), (["--yes"], "")])
def test_with_a_yes_all_of_it_goes_but_an_environment_file(layout: Layout, arguments: list[str], answer: str) -> None:
    kept = layout.state / ".env"
    kept.write_text("API_LOG_LEVEL=info\n")
    result = CliRunner().invoke(clean, arguments, input=answer)
    assert result.exit_code == 0, result.output
    assert list(layout.state.iterdir()) == [kept]
