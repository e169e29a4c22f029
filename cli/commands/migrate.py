"""`lintel migrate`: the migration runner on whichever database is meant."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from cli import embedded, environment
from cli.engines.postgres import PostgresEngine
from cli.layout import ROOT, Layout, state_directory
from cli.supervisor.plan import external_postgres, python_environment
from cli.supervisor.system import DATABASE

NEEDS_DATABASE = ("run", "revert", "status")


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def migrate(arguments: tuple[str, ...]) -> None:
    """Run `run`, `revert`, `status` or `new NAME` on the database.

    That is the one of LINTEL_MIGRATIONS_URL or DATABASE_URL, else the embedded one: the running system's, or started
    for this command.
    """
    layout = Layout(state_directory(os.environ))
    resolved = environment.resolve(os.environ, Path.cwd(), layout)
    wanted = arguments or ("--help",)
    if wanted[0] not in NEEDS_DATABASE or resolved.get("LINTEL_MIGRATIONS_URL") or external_postgres(resolved):
        _run(wanted, resolved)
        return
    running = embedded.running(layout)
    if running is not None and running.postgres_dsn is not None:
        _run(wanted, {**resolved, "LINTEL_MIGRATIONS_URL": running.postgres_dsn})
        return
    layout.make()
    engine = PostgresEngine(layout.postgres)
    engine.start(layout.logs / "postgres.log")
    try:
        engine.ensure_database(DATABASE)
        _run(wanted, {**resolved, "LINTEL_MIGRATIONS_URL": engine.dsn(DATABASE)})
    finally:
        engine.stop()


def _run(arguments: tuple[str, ...], resolved: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "migrations", *arguments]
    status = subprocess.run(command, env=python_environment(resolved), cwd=ROOT, check=False).returncode
    if status != 0:
        raise click.exceptions.Exit(status)
