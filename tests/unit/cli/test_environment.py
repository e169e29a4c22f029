"""`.env` files, their order, and generated secrets."""

from pathlib import Path

import pytest

from cli.environment import GENERATED, EnvironmentFileError, generate_missing, parse, read_file, resolve
from cli.layout import Layout, state_directory


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("  export A = spaced  ", "spaced"),
        ("A='single # quoted $x'", "single # quoted $x"),
        ('A="double \\"quoted\\" \\n next"', 'double "quoted" \n next'),
        ("A=value # comment", "value"),
        ("A=has#hash", "has#hash"),
        ("A=# only a comment", ""),
        ("A=a=b=c", "a=b=c"),
        ("A=", ""),
    ],
)
def test_lines(line: str, value: str) -> None:
    assert parse(f"# heading\n\n{line}\n", ".env") == {"A": value}


@pytest.mark.parametrize(
    ("text", "number"), [("no equals", 1), ("A=1\n=x", 2), ("1A=x", 1), ("A='open", 1), ("A B=1", 1)]
)
def test_bad_lines_are_named_without_their_value(text: str, number: int) -> None:
    with pytest.raises(EnvironmentFileError, match=rf"\.env, line {number}: ") as caught:
        parse(text, ".env")
    assert "open" not in str(caught.value)


def test_process_wins_then_working_directory_then_state(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    layout.make()
    (tmp_path / ".env").write_text("A=cwd\nB=cwd\nEMPTY=\n")
    (layout.state / ".env").write_text("A=state\nB=state\nC=state\nEMPTY=state\n")
    layout.secrets.write_text("A=secret\nD=secret\n")
    resolved = resolve({"A": "process", "B": "", "OTHER": ""}, tmp_path, layout)
    assert resolved == {"A": "process", "B": "cwd", "C": "state", "D": "secret", "EMPTY": "state", "OTHER": ""}


def test_missing_secrets_are_made_once_and_kept_private(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    made = generate_missing({"API_JWT_SECRET": "theirs", "API_CRYPTO_KEY_FILE": "/run/key"}, layout)
    assert set(made) == set(GENERATED) - {"API_JWT_SECRET", "API_CRYPTO_KEY"}
    assert all(len(bytes.fromhex(value)) == 32 for value in made.values())
    assert layout.secrets.stat().st_mode & 0o777 == 0o600
    more = generate_missing(resolve({}, tmp_path / "elsewhere", layout), layout)
    assert set(more) == {"API_JWT_SECRET", "API_CRYPTO_KEY"}
    kept = read_file(layout.secrets)
    assert kept == made | more
    assert generate_missing(kept, layout) == {}


def test_the_state_directory_follows_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_directory({"LINTEL_STATE_DIR": str(tmp_path), "XDG_STATE_HOME": "/x"}) == tmp_path
    assert state_directory({"XDG_STATE_HOME": "/x"}) == Path("/x/lintel")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert state_directory({"XDG_STATE_HOME": "relative"}) == Path("/var/lib/lintel")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_directory({}) == tmp_path / ".local/state/lintel"


def test_sockets_move_when_the_path_is_too_long(tmp_path: Path) -> None:
    short = Layout(Path("/x"))
    assert short.sockets() == short.run
    made = Layout(tmp_path / ("d" * 100)).sockets()
    try:
        assert len(str(made)) < 60
        assert made.stat().st_mode & 0o777 == 0o700
    finally:
        made.rmdir()
