"""`lintel keys rotate` on the files of a state directory that does not run."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import environment
from cli.commands.keys import keys
from cli.layout import Layout


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    for name in ("API_JWT_SECRET", "API_CRYPTO_KEY", "API_JWT_SECRET_FILE", "API_CRYPTO_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    made = Layout(tmp_path / "state")
    made.make()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("LINTEL_STATE_DIR", str(made.state))
    environment.generate_missing({}, made)
    return made


def test_old_values_become_previous_and_the_rest_stays(layout: Layout) -> None:
    before = environment.read_file(layout.secrets)
    result = CliRunner().invoke(keys, ["rotate", "--yes"])
    assert result.exit_code == 0, result.output
    after = environment.read_file(layout.secrets)
    for name in ("API_JWT_SECRET", "API_CRYPTO_KEY"):
        assert after[name] != before[name]
        assert after[f"{name}_PREVIOUS"] == before[name]
        assert after[name] not in result.output
        assert before[name] not in result.output
    assert after["GITHUB_WEBHOOK_SECRET"] == before["GITHUB_WEBHOOK_SECRET"]
    assert stat.S_IMODE(layout.secrets.stat().st_mode) == 0o600
    assert CliRunner().invoke(keys, ["rotate", "--only", "encryption"]).exit_code == 0
    again = environment.read_file(layout.secrets)
    assert again["API_CRYPTO_KEY_PREVIOUS"] == f"{after['API_CRYPTO_KEY']},{before['API_CRYPTO_KEY']}"
    assert again["API_JWT_SECRET"] == after["API_JWT_SECRET"]


def test_what_is_set_elsewhere_is_not_touched_and_told(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    before = layout.secrets.read_text()
    monkeypatch.setenv("API_CRYPTO_KEY", "set by the operator")
    Path(".env").write_text("API_JWT_SECRET=in a file\n")
    result = CliRunner().invoke(keys, ["rotate", "--yes"])
    assert result.exit_code == 1
    assert "API_CRYPTO_KEY stands in the environment" in result.output
    assert f"API_JWT_SECRET stands in {Path.cwd() / '.env'}" in result.output
    assert "set by the operator" not in result.output
    assert layout.secrets.read_text() == before


def test_reencrypting_needs_a_database(layout: Layout) -> None:
    result = CliRunner().invoke(keys, ["reencrypt"])
    assert result.exit_code == 1
    assert "lintel up --detach" in result.output
