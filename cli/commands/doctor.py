"""`lintel doctor`: each dependency and setting, with what is wrong and how to mend it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import click

from cli import embedded, environment
from cli.doctor import machine
from cli.doctor.finding import Finding, from_json, table
from cli.layout import ROOT, Layout, state_directory
from cli.supervisor.plan import external_postgres, python_environment
from cli.terminal import Progress

DEPENDENCIES = ("postgres", "rabbitmq", "mongodb", "model", "github", "gitlab")  # as services.doctor names them
SECONDS = 90  # every check has twenty, and they run at once; the rest is for a slow import


@click.command()
@click.option("--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True)
def doctor(form: Literal["terminal", "json"]) -> None:
    """Look at every setting and everything Lintel needs: ok, warn or fail, why, and how to mend it.

    It reads the same `.env` files as `lintel up`, and asks the database, the broker, the document store, the model (one
    small call) and the code host that they name. Nothing is changed. Ends with status 1 when something fails.
    """
    layout = Layout(state_directory(os.environ))
    resolved = environment.resolve(os.environ, Path.cwd(), layout)
    found = machine.look(layout, resolved)
    with Progress("asking what the settings name"):
        found += _services(layout, resolved)
    if form == "json":
        click.echo(json.dumps([{"name": f.name, "state": f.state, "detail": f.detail, "mend": f.mend} for f in found]))
    else:
        click.echo(table(found))
    if any(each.state == "fail" for each in found):
        raise click.exceptions.Exit(1)


def _services(layout: Layout, resolved: Mapping[str, str]) -> list[Finding]:
    """What the services say of their settings; the embedded database counts only while it runs."""
    running = embedded.running(layout)
    given = dict(resolved)
    is_ours = not external_postgres(resolved)
    if is_ours and running is not None and running.postgres_dsn is not None:
        given["DATABASE_URL"] = running.postgres_dsn
    elif is_ours:
        given["DATABASE_URL"] = "postgresql://embedded/lintel"
    given.setdefault("LINTEL_ALLOW_LOOPBACK_MODELS", "true")
    # What `lintel up` makes by itself is not missing before it has; without a stand-in nothing else could be asked.
    missing = [name for name in environment.GENERATED if not given.get(name) and not given.get(f"{name}_FILE")]
    given |= {name: os.urandom(environment.SECRET_BYTES).hex() for name in missing}
    command = [sys.executable, "-m", "services.doctor"]
    try:
        done = subprocess.run(
            command,
            env=python_environment(given),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [Finding("services", "fail", f"no answer within {SECONDS} seconds", "Is the machine very busy?")]
    if done.returncode not in (0, 1):
        return [Finding("services", "fail", done.stderr.strip()[-300:] or "it ended", "`./lintel test` looks deeper.")]
    found = [from_json(json.loads(line)) for line in done.stdout.splitlines()]
    if is_ours and running is None:
        unasked = Finding("postgres", "ok", "the embedded one starts with `lintel up`")
        found = [unasked if each.name == "postgres" else each for each in found]
    return found
