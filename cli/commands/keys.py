"""`lintel keys`: new secrets in place of those that sign tokens and encrypt what is stored."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from cli import embedded, environment
from cli.commands.system import restart_running
from cli.layout import ROOT, Layout, state_directory
from cli.supervisor.plan import external_postgres, python_environment
from cli.terminal import confirm

ROTATED = {"signing": "API_JWT_SECRET", "encryption": "API_CRYPTO_KEY"}


@click.group()
def keys() -> None:
    """The secrets that sign access tokens and encrypt what is stored.

    \b
    lintel keys rotate       make new ones; the old ones verify and decrypt on
    lintel keys reencrypt    write what the old ones encrypt anew

    docs/identity.md says how to do it by hand, and when an old secret may go.
    """


@keys.command()
@click.option(
    "--only", type=click.Choice(list(ROTATED)), help="Only the secret that signs, or only the one that encrypts."
)
@click.option("--yes", is_flag=True, help="Don't ask before a running Lintel is restarted.")
def rotate(only: str | None, yes: bool) -> None:
    """Make new secrets, keep the old ones as _PREVIOUS, restart what runs, and encrypt anew what is stored.

    Nobody is signed out, and every stored secret stays readable. Only secrets of the state directory are changed; for
    one that stands in the environment or in a .env file you are told what to do.
    """
    layout = Layout(state_directory(os.environ))
    if not layout.secrets.exists():
        raise click.ClickException(f"there is no {layout.secrets}: `lintel up` makes it; docs/identity.md has the rest")
    names = [name for kind, name in ROTATED.items() if only in (None, kind)]
    foreign = environment.foreign(os.environ, Path.cwd(), layout, names)
    for name, place in foreign.items():
        click.echo(
            f"{name} stands in {place}: there, put its value into {name}_PREVIOUS and a new one into {name},", err=True
        )
        click.echo("    made by `openssl rand -hex 32`; then restart, and run `lintel keys reencrypt`.", err=True)
    ours = [name for name in names if name not in foreign]
    if not ours:
        raise click.exceptions.Exit(1)
    is_running = embedded.running(layout) is not None
    if is_running and not yes:
        confirm("Lintel will be restarted, some seconds during which it does not answer. Go on?")
    environment.rotate(layout, ours)
    click.echo(f"New: {', '.join(ours)}, in {layout.secrets}; the old values are kept as _PREVIOUS.", err=True)
    if not is_running:
        click.echo("They count from the next `lintel up`; run `lintel keys reencrypt` after it.", err=True)
        return
    restart_running(layout)
    if "API_CRYPTO_KEY" in ours:
        _reencrypt(layout)


@keys.command()
def reencrypt() -> None:
    """Write every stored secret that an old key encrypts anew under the new one.

    Every process must have the new key by then: restart first. Safe to run again.
    """
    _reencrypt(Layout(state_directory(os.environ)))


def _reencrypt(layout: Layout) -> None:
    resolved: Mapping[str, str] = environment.resolve(os.environ, Path.cwd(), layout)
    if not external_postgres(resolved):
        running = embedded.running(layout)
        if running is None or running.postgres_dsn is None:
            raise click.ClickException("Lintel does not run here; `lintel up --detach`, then this again")
        resolved = {**resolved, "DATABASE_URL": running.postgres_dsn}
    command = [sys.executable, "-m", "services.reencrypt"]
    status = subprocess.run(command, env=python_environment(resolved), cwd=ROOT, check=False).returncode
    if status != 0:
        raise click.exceptions.Exit(status)
