"""Where the broker is: API_RABBITMQ_URI, read once and said in logs without its password."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from yarl import URL

from services.kit.config import Settings

HEARTBEAT_SECONDS = 10  # unless the URI says otherwise; a broker that is silent for three of them is given up
# RabbitMQ's own clients spell the options of amqps:// like this; ours knows the words on the right.
_SPELLINGS = {"cacertfile": "cafile"}
_FILES = ("cafile", "certfile", "keyfile")


class BrokerSettings(Settings):
    """Which broker, if any."""

    rabbitmq_uri: SecretStr | None = Field(None, alias="API_RABBITMQ_URI")

    @model_validator(mode="after")
    def _is_readable(self) -> Self:
        if self.rabbitmq_uri is not None:
            parse(self.rabbitmq_uri.get_secret_value())
        return self


def parse(text: str) -> URL:
    """Read `amqp[s]://user:password@host[:port][/vhost][?heartbeat=…&cafile=…&certfile=…&keyfile=…&verify=…]`.

    `cacertfile`, `verify=verify_none` and `verify=verify_peer` are understood as RabbitMQ's clients write them. Raises
    ValueError with the reason, never with the password.
    """
    try:
        uri = URL(text)
        port = uri.port
    except ValueError:
        raise ValueError("API_RABBITMQ_URI is no URI; it looks like amqp://user:password@host:5672/vhost") from None
    if uri.scheme not in ("amqp", "amqps"):
        raise ValueError("API_RABBITMQ_URI must begin with amqp:// or amqps://")
    if not uri.host:
        raise ValueError("API_RABBITMQ_URI names no host")
    options = {_SPELLINGS.get(name, name): value for name, value in uri.query.items()}
    heartbeat = options.setdefault("heartbeat", str(HEARTBEAT_SECONDS))
    if not heartbeat.isdecimal() or int(heartbeat) > 3600:
        raise ValueError("the heartbeat of API_RABBITMQ_URI must be a number of seconds up to 3600, 0 for none")
    verify = options.pop("verify", "verify_peer")
    if verify not in ("verify_peer", "verify_none"):
        raise ValueError("verify in API_RABBITMQ_URI must be verify_peer or verify_none")
    if verify == "verify_none":
        options["no_verify_ssl"] = "1"
    if uri.scheme == "amqp" and (given := [name for name in (*_FILES, "no_verify_ssl") if name in options]):
        raise ValueError(f"API_RABBITMQ_URI has {given[0]}, which needs amqps://; nothing would be encrypted")
    for name in _FILES:
        if name in options and not Path(options[name]).is_file():
            raise ValueError(f"{name} of API_RABBITMQ_URI names {options[name]}, which is no file")
    return uri.with_query(options).with_port(port or (5671 if uri.scheme == "amqps" else 5672))


def place(uri: URL) -> str:
    """Answer the address as logs may say it: scheme, host, port and virtual host."""
    return f"{uri.scheme}://{uri.host_subcomponent}:{uri.port}{uri.raw_path.rstrip('/')}"
