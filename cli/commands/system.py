"""`lintel down`, `restart` and `clean`."""

import os
import shutil

import click

from cli import embedded
from cli.commands.up import start_detached
from cli.layout import Layout, state_directory
from cli.supervisor import status as statuses
from cli.supervisor.options import Options
from cli.supervisor.status import Status
from cli.terminal import Progress, confirm


def _layout() -> Layout:
    return Layout(state_directory(os.environ))


def _stop(layout: Layout) -> bool:
    with Progress("stopping Lintel") as progress:
        return embedded.stop(layout, progress)


@click.command()
def down() -> None:
    """Stop Envoy, then the application, then Postgres, each in order; everything is kept."""
    layout = _layout()
    stopped = _stop(layout)
    click.echo("Lintel has stopped; everything is kept." if stopped else f"Nothing runs in {layout.state}.")


@click.command()
def restart() -> None:
    """Stop the system and start it again in the background, with the same roles and ports.

    The configuration is read anew: process environment, .env here, .env in the state directory.
    """
    restart_running(_layout())


def restart_running(layout: Layout) -> None:
    """Stop what runs and start it again in the background, with the same roles and ports."""
    earlier = embedded.running(layout)
    _stop(layout)
    start_detached(_same_options(layout, earlier))


def _same_options(layout: Layout, earlier: Status | None) -> Options:
    if earlier is None:
        return Options(layout.state)
    ports = earlier.chosen_ports
    return Options(layout.state, tuple(earlier.roles), ports.get("edge"), ports.get("webhooks"))


@click.command()
@click.option("--yes", is_flag=True, help="Don't ask.")
def clean(yes: bool) -> None:
    """Delete database, logs, generated secrets and the local API key of the embedded system.

    A running system is stopped first. A .env file in the state directory is kept.
    """
    layout = _layout()
    ours = [layout.postgres, layout.logs, layout.run, layout.secrets, layout.api_key]
    there = [path for path in ours if path.exists()]
    if not there:
        click.echo(f"There is nothing in {layout.state}.")
        return
    if not yes:
        if embedded.running(layout) is not None:
            click.echo("Lintel runs here; it is stopped first.", err=True)
        click.echo(f"This deletes for good, in {layout.state}: {', '.join(path.name for path in there)}", err=True)
        confirm("Go on?")
    if statuses.read(layout) is not None:
        _stop(layout)
    with Progress("deleting") as progress:
        for path in there:
            progress(path.name)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not any(layout.state.iterdir()):
        layout.state.rmdir()
    click.echo(f"Deleted {', '.join(path.name for path in there)} from {layout.state}.")
