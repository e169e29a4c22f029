"""`lintel up`: start the embedded system, in the foreground or the background."""

import os
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import click

from cli import embedded
from cli.commands.logs import Follower
from cli.commands.status import memory, summary
from cli.embedded import AlreadyRunsError
from cli.layout import Layout, state_directory
from cli.supervisor import status as statuses
from cli.supervisor.options import EDGE_PORT, ROLES, WEBHOOKS_PORT, Options
from cli.supervisor.status import Status
from cli.terminal import Progress, clear_line, ignore_interrupts, interrupt_once, megabytes, show_line

PORT = click.IntRange(1, 65535)
FOLLOW_SECONDS = 0.2
MEASURE_SECONDS = 2.0  # looking at the memory of every process costs a few milliseconds


@click.command()
@click.argument("roles", nargs=-1, type=click.Choice(ROLES), metavar="[ROLE]...")
@click.option("--detach", "-d", is_flag=True, help="Return when the system is ready and leave it running.")
@click.option("--port", type=PORT, help=f"Port of REST and gRPC.  [default: API_PORT, else {EDGE_PORT}]")
@click.option(
    "--webhooks-port", type=PORT, help=f"Port of the webhooks.  [default: API_WEBHOOKS_PORT, else {WEBHOOKS_PORT}]"
)
def up(roles: tuple[str, ...], detach: bool, port: int | None, webhooks_port: int | None) -> None:
    """Start Postgres, the application and Envoy on this machine, and keep them running.

    Without --detach the system stops with Ctrl-C. Settings come from the environment, from .env in this directory and
    from .env in the state directory, in this order. With ROLEs only these run:

    auth, orgs, llm_gateway, webhooks, webhooks_worker, review, review_worker, gateway.
    """
    layout = Layout(state_directory(os.environ))
    if _report_running(layout):
        if roles or port or webhooks_port:
            click.echo("\nRoles and ports are as they were; `./lintel down` first to change them.")
        return
    options = Options(layout.state, roles or ROLES, port, webhooks_port)
    if detach:
        start_detached(options)
    else:
        _run_in_foreground(options)


def start_detached(options: Options) -> None:
    """Start a supervisor that outlives us and show where it is to be found; raises SystemStartError."""
    layout = Layout(options.state)
    supervisor = embedded.launch(options, os.environ, Path.cwd())
    try:
        with Progress("starting Lintel") as progress:
            status = embedded.wait_ready(layout, supervisor, progress)
    except AlreadyRunsError:
        if not _report_running(layout):
            raise
        return
    except KeyboardInterrupt:
        _stop(layout, supervisor)
        raise
    supervisor.returncode = 0  # it lives on, and is not ours to wait for
    click.echo(summary(layout, status, first=True))
    click.echo("\n`./lintel logs -f` follows what it does, `./lintel down` stops it.")


def _report_running(layout: Layout) -> bool:
    """Say that a system runs already, when it is ready; False when none runs."""
    status = embedded.running(layout)
    with Progress("another lintel is starting the system") as progress:
        while status is not None and status.phase == "starting":
            progress(status.step)
            time.sleep(embedded.POLL_SECONDS)
            status = embedded.running(layout)
    if status is None or status.phase != "ready":
        return False
    click.echo(f"Lintel runs already.\n\n{summary(layout, status)}")
    return True


def _run_in_foreground(options: Options) -> None:
    layout = Layout(options.state)
    interrupt_once()
    reader, lifeline = os.pipe()
    try:
        supervisor = embedded.launch(
            Options(options.state, options.roles, options.port, options.webhooks_port, lifeline=reader),
            os.environ,
            Path.cwd(),
        )
    finally:
        os.close(reader)
    try:
        with closing(Follower(layout, at_end=True)) as follower:
            with Progress("starting Lintel") as progress:
                status = embedded.wait_ready(layout, supervisor, progress)
            click.echo(summary(layout, status, first=True) + "\n\nCtrl-C stops it.\n")
            _follow(layout, follower, supervisor)
    except AlreadyRunsError:
        if not _report_running(layout):
            raise
    except KeyboardInterrupt:
        clear_line()
        _stop(layout, supervisor)
        click.echo("Lintel has stopped; everything is kept.", err=True)
    finally:
        os.close(lifeline)


def _follow(layout: Layout, follower: Follower, supervisor: subprocess.Popen[bytes]) -> None:
    """Show new log lines above one line of live status until the supervisor ends."""
    live = sys.stderr.isatty()
    shown, measured = "", 0.0
    while supervisor.poll() is None:
        lines = follower.read()
        if live and lines:
            clear_line()
        for line in lines:
            click.echo(line.pretty(colour=live))
        if live and time.monotonic() - measured > MEASURE_SECONDS:
            status = statuses.read(layout)
            shown, measured = _live_line(status) if status else "", time.monotonic()
        if live:
            show_line(shown)
        with suppress(subprocess.TimeoutExpired):
            supervisor.wait(FOLLOW_SECONDS)
    if supervisor.returncode != 0:
        raise embedded.SystemStartError(f"the supervisor ended unexpectedly; its logs are in {layout.logs}")
    click.echo("Lintel was stopped from elsewhere.", err=True)


def _live_line(status: Status) -> str:
    parts = [
        f"{child.name} {megabytes(memory(child.pid).proportional) if child.pid else child.state}"
        + (f" ({child.restarts} restarts)" if child.restarts else "")
        for child in status.children
    ]
    return " · ".join([status.phase, *parts, status.url("edge") or "", "Ctrl-C stops"])


def _stop(layout: Layout, supervisor: subprocess.Popen[bytes]) -> None:
    """Stop the supervisor whatever it is doing; further interrupts change nothing while it ends in order."""
    ignore_interrupts()
    with Progress("stopping Lintel") as progress:
        supervisor.terminate()
        while supervisor.poll() is None:
            status = statuses.read(layout)
            progress(status.step if status else "")
            with suppress(subprocess.TimeoutExpired):
                supervisor.wait(embedded.POLL_SECONDS)
