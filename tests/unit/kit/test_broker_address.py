"""API_RABBITMQ_URI: what is understood, what is refused with its reason, and what is never said."""

from pathlib import Path

import pytest

from services.kit.bus.address import BrokerSettings, parse, place
from services.kit.bus.choose import choose_bus
from services.kit.bus.in_process import InProcessBus
from services.kit.bus.rabbitmq import RabbitMqBus
from services.kit.config import ConfigError, load, redacted


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("amqp://u:p@broker", {"heartbeat": "10"}),
        ("amqp://u:p@broker:5673/kodus-ai?heartbeat=60", {"heartbeat": "60"}),
        ("amqps://u:p@broker?verify=verify_none", {"heartbeat": "10", "no_verify_ssl": "1"}),
        ("amqps://u:p@broker?verify=verify_peer&auth=external", {"heartbeat": "10", "auth": "external"}),
    ],
)
def test_options_reach_the_library_in_its_own_words(text: str, options: dict[str, str]) -> None:
    assert dict(parse(text).query) == options


def test_certificates_are_named_as_rabbitmq_does_or_as_the_library_does(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("")
    theirs = f"?cacertfile={tmp_path}/ca&certfile={tmp_path}/cert&keyfile={tmp_path}/key"
    expected = {name: f"{tmp_path}/{name.removesuffix('file')}" for name in ("cafile", "certfile", "keyfile")}
    for options in (theirs, theirs.replace("cacertfile", "cafile")):
        assert expected.items() <= dict(parse(f"amqps://u:p@broker/{options}").query).items()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://u:hunter2@broker", "must begin with amqp:// or amqps://"),
        ("amqp://u:hunter2@", "names no host"),
        ("amqp://u:hunter2@broker:port", "is no URI"),
        ("amqp://u:hunter2@broker?heartbeat=fast", "must be a number of seconds"),
        ("amqp://u:hunter2@broker?heartbeat=-1", "must be a number of seconds"),
        ("amqps://u:hunter2@broker?verify=perhaps", "must be verify_peer or verify_none"),
        ("amqps://u:hunter2@broker?cacertfile=/no/such/ca.pem", "cafile of API_RABBITMQ_URI names /no/such/ca.pem"),
        ("amqp://u:hunter2@broker?cafile=/no/such/ca.pem", "needs amqps://"),
    ],
)
def test_what_can_not_be_is_refused_without_the_password(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        load(BrokerSettings, {"API_RABBITMQ_URI": text})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://u:hunter2@broker", "amqp://broker:5672"),
        ("amqps://u:hunter2@broker/v", "amqps://broker:5671/v"),
        ("amqp://u:hunter2@[::1]:1/a%2Fb", "amqp://[::1]:1/a%2Fb"),
    ],
)
def test_logs_say_where_and_not_who(text: str, shown: str) -> None:
    assert place(parse(text)) == shown


async def test_the_uri_chooses_the_bus(tmp_path: Path) -> None:
    assert isinstance(choose_bus(load(BrokerSettings, {})), InProcessBus)
    secret = tmp_path / "uri"
    secret.write_text("amqp://u:hunter2@broker\n")
    settings = load(BrokerSettings, {"API_RABBITMQ_URI_FILE": str(secret)})
    assert "hunter2" not in str(redacted(settings))
    assert isinstance(choose_bus(settings), RabbitMqBus)
