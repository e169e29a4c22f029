"""Configuration: strict, complete at start, safe to print."""

from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from services.kit import config
from services.kit.app import MeshSettings
from services.kit.config import ConfigError, Settings, effective, unknown_variables
from services.kit.crypto import CryptoSettings, subkey
from services.kit.postgres.settings import DatabaseSettings
from services.roles import known_variables

KEY = "8f1d3c5b7a9e0246cdfe13579bdf02468ace9f1e2d3c4b5a69788796a5b4c3d2"


class Example(Settings):
    secret: SecretStr = Field(alias="API_SECRET")
    port: int = Field(3001, alias="API_PORT", ge=1, le=65535)
    home: Path | None = Field(None, alias="LINTEL_HOME")
    token: SecretStr | None = Field(None, alias="API_TOKEN")


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(ConfigError, match="API_SECRET: is needed and not set"):
        config.load(Example, {})


def test_every_wrong_variable_is_named_and_no_value_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(Example, {"API_PORT": "hunter2"})
    assert "API_SECRET" in str(caught.value)
    assert "API_PORT" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1", "1.5"])
def test_a_wrong_value_is_refused(port: str) -> None:
    with pytest.raises(ConfigError, match="API_PORT"):
        config.load(Example, {"API_SECRET": "s", "API_PORT": port})


def test_empty_means_absent() -> None:
    assert config.load(Example, {"API_SECRET": "s", "API_PORT": ""}).port == 3001
    with pytest.raises(ConfigError, match="API_SECRET"):
        config.load(Example, {"API_SECRET": ""})


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    path = str(tmp_path / "secret")
    assert config.load(Example, {"API_SECRET_FILE": path}).secret.get_secret_value() == "from the file"
    both = config.load(Example, {"API_SECRET_FILE": path, "API_SECRET": "from the variable"})
    assert both.secret.get_secret_value() == "from the variable"


def test_a_file_that_is_missing_or_empty_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"API_SECRET_FILE names .*cannot be read"):
        config.load(Example, {"API_SECRET_FILE": str(tmp_path / "none")})
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigError, match=r"API_SECRET_FILE names .*is empty"):
        config.load(Example, {"API_SECRET_FILE": str(tmp_path / "empty")})


def test_only_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("4000")
    assert config.load(Example, {"API_SECRET": "s", "API_PORT_FILE": str(tmp_path / "port")}).port == 3001


def test_a_print_shows_no_secret() -> None:
    settings = config.load(Example, {"API_SECRET": "hunter2", "LINTEL_HOME": "/srv"})
    shown = config.redacted(settings)
    assert shown == {"API_SECRET": "set", "API_PORT": 3001, "LINTEL_HOME": "/srv", "API_TOKEN": "not set"}
    assert "hunter2" not in repr(settings)


def test_unknown_variables_get_the_nearest_name() -> None:
    environ = {
        "API_SECERT": "x",
        "LINTEL_HOM": "x",
        "API_PORT": "1",
        "API_SECRET_FILE": "x",
        "LINTEL_QQQQQQ": "x",
        "HOME": "x",
    }
    found = config.unknown_variables(config.variables(Example), environ)
    assert found == {"API_SECERT": "API_SECRET", "LINTEL_HOM": "LINTEL_HOME", "LINTEL_QQQQQQ": None}


def test_a_log_level_that_is_none_is_refused() -> None:
    assert config.load(MeshSettings, {"LINTEL_RUN_DIR": "/run/lintel", "API_LOG_LEVEL": "WARN"}).log_level == "warn"
    with pytest.raises(ConfigError, match="API_LOG_LEVEL: 'loud' is no log level; one of trace, debug"):
        config.load(MeshSettings, {"LINTEL_RUN_DIR": "/run/lintel", "API_LOG_LEVEL": "loud"})


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "is needed"),
        ("abc", "32 bytes in hexadecimal"),
        (KEY + "00", "32 bytes in hexadecimal"),
        ("zz" * 32, "32 bytes in hexadecimal"),
        ("00" * 32, "example value"),
        ("0123456789abcdef" * 4, "example value"),
        ("deadbeef" * 8, "example value"),
        (bytes(range(32)).hex(), "example value"),
    ],
)
def test_a_master_key_that_is_none_or_known_is_refused(key: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        config.load(CryptoSettings, {"API_CRYPTO_KEY": key})
    assert not key or key not in str(caught.value)


def test_each_purpose_has_its_own_key() -> None:
    assert subkey(KEY, "one") == subkey(KEY.upper(), "one")
    assert len({subkey(KEY, "one"), subkey(KEY, "two"), subkey("9" + KEY[1:], "one"), bytes.fromhex(KEY)}) == 4


def test_previous_keys_come_after_the_present_one() -> None:
    other = "9" + KEY[1:]
    settings = config.load(CryptoSettings, {"API_CRYPTO_KEY": KEY, "API_CRYPTO_KEY_PREVIOUS": f"{other}, "})
    assert settings.subkeys("x") == [subkey(KEY, "x"), subkey(other, "x")]
    with pytest.raises(ConfigError, match="API_CRYPTO_KEY_PREVIOUS"):
        config.load(CryptoSettings, {"API_CRYPTO_KEY": KEY, "API_CRYPTO_KEY_PREVIOUS": f"{other},short"})


def test_a_database_is_named_by_url_or_by_parts() -> None:
    parts = {
        "API_PG_DB_HOST": "db",
        "API_PG_DB_PORT": "6000",
        "API_PG_DB_USERNAME": "me@home",
        "API_PG_DB_PASSWORD": "p/w:1",
        "API_PG_DB_DATABASE": "reviews",
        "API_PG_DB_SSL": "true",
    }
    made = config.load(DatabaseSettings, parts).dsn
    assert made == "postgresql://me%40home:p%2Fw%3A1@db:6000/reviews?sslmode=require"
    assert config.load(DatabaseSettings, parts | {"DATABASE_URL": "postgresql://x/y"}).dsn == "postgresql://x/y"
    with pytest.raises(ConfigError, match=r"DATABASE_URL .* is needed and not set"):
        config.load(DatabaseSettings, {})


@pytest.mark.parametrize(
    "url", ["mysql://u:secret-word@h/d", "h:5432/d?password=secret-word", "postgresql:secret-word"]
)
def test_a_url_of_another_database_is_refused_unseen(url: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL: must begin with postgresql://") as wrong:
        config.load(DatabaseSettings, {"DATABASE_URL": url})
    assert "secret-word" not in str(wrong.value)


def test_the_configuration_of_several_is_told_once_and_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_CRYPTO_KEY", "8f1d3c5b7a9e0246cdfe13579bdf02468ace9f1e2d3c4b5a69788796a5b4c3d2")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret-word@h/d")
    told = effective([DatabaseSettings, CryptoSettings, CryptoSettings])
    assert (told["API_CRYPTO_KEY"], told["DATABASE_URL"]) == ("set", "set")
    assert "secret-word" not in str(told)


def test_what_is_wrong_in_several_is_told_together_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_CRYPTO_KEY", "DATABASE_URL", "API_PG_DB_HOST"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError) as wrong:
        effective([DatabaseSettings, CryptoSettings, CryptoSettings])
    assert str(wrong.value).count("API_CRYPTO_KEY") == 1
    assert "DATABASE_URL" in str(wrong.value)


def test_every_variable_of_the_roles_and_of_the_contract_is_known() -> None:
    assert unknown_variables(known_variables(), {"API_CRYPTO_KEY_FILE": "x", "API_GROQ_API_KEY": "x"}) == {}
    assert unknown_variables(known_variables(), {"API_CRYPTO_KYE": "x"}) == {"API_CRYPTO_KYE": "API_CRYPTO_KEY"}
