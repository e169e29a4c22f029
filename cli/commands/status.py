"""`lintel status`: what runs, where, and how much memory it takes."""

import json
import os
import time
from typing import Literal, NamedTuple

import click

from cli import embedded
from cli.engines import processes
from cli.environment import WEBHOOK_SECRETS
from cli.layout import Layout, state_directory
from cli.supervisor import status as statuses
from cli.supervisor.status import ChildStatus, Status
from cli.terminal import duration, megabytes

SERVES = {
    "edge": "REST, gRPC, documentation at /docs",
    "webhooks": "POST /github/webhook and the other hosts",
    "metrics": "Prometheus text at /metrics",
    "legacy": "the edge again, on its older port",
    "grpc": "gRPC, as there is no Envoy",
}


class Memory(NamedTuple):
    """Bytes of a process and its descendants: resident ones summed up, and with shared pages counted once."""

    resident: int | None
    proportional: int | None


def memory(pid: int) -> Memory:
    """Measure a process and all its descendants; None where this user may not look."""
    family = processes.family(pid)
    resident = [processes.resident_bytes(member) for member in family]
    proportional = [processes.proportional_bytes(member) for member in family]
    return Memory(_sum(resident), _sum(proportional) if family else None)


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


@click.command()
@click.option("--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True)
def status(form: Literal["terminal", "json"]) -> None:
    """Show processes with their memory, addresses and notes; ends with status 1 when the system does not run."""
    layout = Layout(state_directory(os.environ))
    found = embedded.running(layout)
    if form == "json":
        click.echo(json.dumps(_as_json(layout, found), indent=2))
    elif found is not None:
        click.echo(summary(layout, found) + "\n\n" + _table(found))
    else:
        click.echo(_not_running(layout))
    if found is None:
        raise click.exceptions.Exit(1)


def summary(layout: Layout, found: Status, *, first: bool = False) -> str:
    """Return the addresses, where things are kept, and what a person should know; more right after the first start."""
    lines = [_headline(found), ""]
    lines += [f"  {name:9} {found.url(name) or '':24} {SERVES[name]}" for name in found.ports]
    lines += ["", f"  state     {layout.state}"]
    if layout.api_key.exists():
        lines.append(f"  API key   {layout.api_key}")
    if layout.secrets.exists():
        lines.append(f"  secrets   {layout.secrets}")
    if first and found.new_secrets:
        lines += ["", f"  Made now: {', '.join(found.new_secrets)}."]
    if first and any(name in WEBHOOK_SECRETS for name in found.new_secrets):
        lines += [
            "  Paste each *_WEBHOOK_SECRET from that file into the webhook settings of your code host, for example",
            "  GitHub: Settings > Webhooks > Secret, with the payload URL http(s)://YOUR-HOST/github/webhook;",
            "  GitLab: Settings > Webhooks > Secret token, with the URL http(s)://YOUR-HOST/gitlab/webhook.",
        ]
    lines += [f"  note: {note}" for note in found.notes]
    return "\n".join(lines)


def _headline(found: Status) -> str:
    edge = {"envoy": f"Envoy {found.versions.get('envoy', '')}", "direct": "no Envoy, the gateway listens itself"}
    words = [f"Lintel is {found.phase}" if found.phase == "ready" else f"Lintel is {found.phase}: {found.step}"]
    if found.startup_seconds is not None:
        words.append(f"started in {found.startup_seconds:.1f} s")
    words.append(f"up {duration(time.time() - found.started_at)}")
    if found.edge in edge:
        words.append(edge[found.edge])
    return " · ".join(words)


def _table(found: Status) -> str:
    me = ChildStatus("supervisor", "running", found.pid, found.start_time, found.started_at)
    width = max(len(child.name) for child in [me, *found.children]) + 2
    lines = [f"  {'PROCESS':{width}}{'STATE':10}{'PID':>8}{'MEMORY':>10}{'UPTIME':>10}{'RESTARTS':>10}"]
    for child in [me, *found.children]:
        lines.append(
            f"  {child.name:{width}}{child.state:10}{child.pid or '-':>8}{megabytes(_memory_of(child)):>10}"
            f"{duration(time.time() - child.since) if child.pid and child.since else '-':>10}{child.restarts:>10}"
            + (f"  last: {child.last_exit}" if child.last_exit else "")
        )
    return "\n".join(lines)


def _memory_of(child: ChildStatus) -> int | None:
    if child.pid is None:
        return None
    if child.name == "supervisor":  # its descendants have lines of their own
        return processes.proportional_bytes(child.pid) or processes.resident_bytes(child.pid)
    taken = memory(child.pid)
    return taken.proportional if taken.proportional is not None else taken.resident


def _not_running(layout: Layout) -> str:
    last = statuses.read(layout)
    text = f"Lintel does not run in {layout.state}; `./lintel up --detach` starts it."
    if last is not None and last.error:
        text += f"\nThe last start failed: {last.error}"
    return text


def _as_json(layout: Layout, found: Status | None) -> dict[str, object]:
    if found is None:
        last = statuses.read(layout)
        return {"running": False, "stateDirectory": str(layout.state), "lastError": last.error if last else None}
    me = ChildStatus("supervisor", "running", found.pid, found.start_time, found.started_at)
    return {
        "running": True,
        "phase": found.phase,
        "stateDirectory": str(layout.state),
        "uptimeSeconds": round(time.time() - found.started_at, 1),
        "startupSeconds": found.startup_seconds,
        "edge": found.edge,
        "roles": found.roles,
        "urls": {name: found.url(name) for name in found.ports},
        "versions": found.versions,
        "notes": found.notes,
        "processes": [_process_as_json(child) for child in [me, *found.children]],
    }


def _process_as_json(child: ChildStatus) -> dict[str, object]:
    own = child.name == "supervisor" and child.pid is not None
    taken = memory(child.pid) if child.pid else Memory(None, None)
    if own and child.pid:
        taken = Memory(processes.resident_bytes(child.pid), processes.proportional_bytes(child.pid))
    return {
        "name": child.name,
        "state": child.state,
        "pid": child.pid,
        "rssBytes": taken.resident,
        "pssBytes": taken.proportional,
        "uptimeSeconds": round(time.time() - child.since, 1) if child.pid and child.since else None,
        "restarts": child.restarts,
        "lastExit": child.last_exit,
    }
