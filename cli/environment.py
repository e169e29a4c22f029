"""The environment the application gets: the process environment, then `.env` files, then generated secrets."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.layout import Layout, write_private

HOSTS = ("GITHUB", "GITLAB", "BITBUCKET", "AZURE_REPOS", "FORGEJO")
WEBHOOK_SECRETS = tuple(f"{host}_WEBHOOK_SECRET" for host in HOSTS)
GENERATED = ("API_JWT_SECRET", "API_CRYPTO_KEY", *WEBHOOK_SECRETS)
SECRET_BYTES = 32


class EnvironmentFileError(Exception):
    """A `.env` file that can't be read; the message names file and line and never a value."""


def parse(text: str, name: str) -> dict[str, str]:
    """Read `NAME=value` lines: comments, `export`, quotes of either kind; raises EnvironmentFileError."""
    values = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip().removeprefix("export ").strip()
        if not stripped or stripped.startswith("#"):
            continue
        key, separator, value = stripped.partition("=")
        key = key.strip()
        if not separator or not key.replace("_", "a").isalnum() or key[0].isdigit():
            raise EnvironmentFileError(f"{name}, line {number}: expected NAME=value")
        values[key] = _unquote(value.strip(), f"{name}, line {number}")
    return values


def _unquote(value: str, place: str) -> str:
    if value[:1] in ("'", '"'):
        quote = value[0]
        end = value.find(quote, 1)
        while quote == '"' and end > 0 and value[end - 1] == "\\":
            end = value.find(quote, end + 1)
        if end < 0:
            raise EnvironmentFileError(f"{place}: the quote is not closed")
        inner = value[1:end]
        if quote == "'":
            return inner
        return inner.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    if value.startswith("#"):
        return ""
    return value.split(" #", 1)[0].rstrip()


def read_file(path: Path) -> dict[str, str]:
    """Return the values of one file, {} when it does not exist; empty values count as not set."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentFileError(f"cannot read {path}: {error}") from error
    return {name: value for name, value in parse(text, str(path)).items() if value}


def resolve(process: Mapping[str, str], working_directory: Path, layout: Layout) -> dict[str, str]:
    """Merge everything, the process environment winning, then the working directory's `.env`, then the state's."""
    files = read_file(layout.secrets) | read_file(layout.state / ".env") | read_file(working_directory / ".env")
    return files | {name: value for name, value in process.items() if value or name not in files}


def generate_missing(environment: Mapping[str, str], layout: Layout) -> dict[str, str]:
    """Make the secrets nobody has set, keep them in `secrets.env` (0600) and return only the new ones."""
    missing = [name for name in GENERATED if not environment.get(name) and not environment.get(f"{name}_FILE")]
    if not missing:
        return {}
    made = {name: os.urandom(SECRET_BYTES).hex() for name in missing}
    write_secrets(layout, read_file(layout.secrets) | made)
    return made


def foreign(
    process: Mapping[str, str], working_directory: Path, layout: Layout, names: Sequence[str]
) -> dict[str, str]:
    """Return which of these secrets are not kept in `secrets.env`, or not decided there, with where they stand."""
    places = {
        "the environment": process,
        str(working_directory / ".env"): read_file(working_directory / ".env"),
        str(layout.state / ".env"): read_file(layout.state / ".env"),
    }
    kept, found = read_file(layout.secrets), dict[str, str]()
    for name in names:
        place = next((p for p, values in places.items() if values.get(name) or values.get(f"{name}_FILE")), None)
        if place or not kept.get(name):
            found[name] = place or "a place we do not know"
    return found


def rotate(layout: Layout, names: Sequence[str]) -> None:
    """Put fresh secrets into `secrets.env`; the values of now are kept first in NAME_PREVIOUS, before those there."""
    kept = read_file(layout.secrets)
    for name in names:
        earlier = kept.get(f"{name}_PREVIOUS", "")
        kept[f"{name}_PREVIOUS"] = ",".join(value for value in (kept[name], earlier) if value)
        kept[name] = os.urandom(SECRET_BYTES).hex()
    write_secrets(layout, kept)


def write_secrets(layout: Layout, values: Mapping[str, str]) -> None:
    """Write `secrets.env` (0600), whole or not at all."""
    lines = ["# Made by `./lintel up`. Keep this file: without API_CRYPTO_KEY stored tokens can't be read again."]
    lines += [f"{name}={value}" for name, value in values.items()]
    write_private(layout.secrets, "\n".join(lines) + "\n")
