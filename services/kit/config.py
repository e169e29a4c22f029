"""Configuration from the environment: strict, complete at start, safe to print."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, SecretBytes, SecretStr, ValidationError

ModelT = TypeVar("ModelT", bound="Settings")


class ConfigError(Exception):
    """The environment does not make a valid configuration; the message says which variable and what to do."""


class Settings(BaseModel):
    """Base of every configuration: a field's alias is the name of its variable, secrets are SecretStr."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, str_strip_whitespace=True)


def load(model: type[ModelT], environ: Mapping[str, str] | None = None) -> ModelT:
    """Build `model` from the environment; a secret may also stand in the file that NAME_FILE names.

    An empty variable counts as absent. Raises ConfigError naming every variable that is wrong.
    """
    source = os.environ if environ is None else environ
    values: dict[str, str] = {}
    for name, secret in variables(model).items():
        if source.get(name, "") != "":
            values[name] = source[name]
        elif secret and source.get(f"{name}_FILE", "") != "":
            values[name] = _read_secret(name, source[f"{name}_FILE"])
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [": ".join([*map(str, e["loc"][:1]), _plain(e)]) for e in error.errors(include_input=False)]
        raise ConfigError("The configuration is not valid:\n  " + "\n  ".join(lines)) from None


def variables(model: type[Settings]) -> dict[str, bool]:
    """Answer the names of the variables a configuration reads, and whether each is a secret."""
    return {field.alias or name: _is_secret(field.annotation) for name, field in model.model_fields.items()}


def redacted(settings: Settings) -> dict[str, Any]:
    """Answer the values by variable name, secrets as `set` or `not set`: safe for a log."""
    shown: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if _is_secret(field.annotation):
            value = "set" if value else "not set"
        shown[field.alias or name] = str(value) if isinstance(value, Path) else value
    return shown


def effective(models: Iterable[type[Settings]]) -> dict[str, Any]:
    """Load several configurations and answer all values by variable name, redacted. Raises one ConfigError for all."""
    shown: dict[str, Any] = {}
    problems: dict[str, None] = {}  # kept in order, told once
    for model in models:
        try:
            shown |= redacted(load(model))
        except ConfigError as error:
            problems |= dict.fromkeys(str(error).splitlines()[1:] or [str(error)])
    if problems:
        raise ConfigError("\n".join(["The configuration is not valid:", *problems]))
    return shown


def unknown_variables(known: Iterable[str], environ: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Answer each LINTEL_* or API_* variable that nobody reads, with the nearest name that somebody does."""
    names = set(known)
    source = os.environ if environ is None else environ
    ours = [n for n in source if n.startswith(("LINTEL_", "API_")) and names.isdisjoint({n, n.removesuffix("_FILE")})]
    return {n: next(iter(difflib.get_close_matches(n, names, n=1)), None) for n in ours}


def _read_secret(name: str, path: str) -> str:
    try:
        text = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}_FILE names {path}, which cannot be read: {error}") from None
    if not text:
        raise ConfigError(f"{name}_FILE names {path}, which is empty")
    return text


def _is_secret(annotation: object) -> bool:
    return annotation in (SecretStr, SecretBytes) or any(_is_secret(a) for a in get_args(annotation))


def _plain(error: Any) -> str:
    return "is needed and not set" if error["type"] == "missing" else str(error["msg"]).removeprefix("Value error, ")
