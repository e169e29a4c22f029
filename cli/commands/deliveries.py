"""`lintel deliveries` and `lintel dead-letters`: what the code hosts sent, what became of it, and once more."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import click

from cli import tables
from cli.connect import connected
from client import shape
from client.deliveries import DeliveryClient
from client.errors import RefusedError

STATES = ("received", "processed", "ignored", "failed")
_format = click.option("--format", "form", type=click.Choice(tables.FORMATS), default="table", show_default=True)
_limit = click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Show at most this many.")


@click.group()
def deliveries() -> None:
    """Webhook requests of the code hosts: what arrived, what became of it, and once more.

    \b
    lintel deliveries list --state failed   what could not be handled, and why
    lintel deliveries show ID               everything about one
    lintel deliveries replay ID             handle it again from its stored body

    The Lintel of LINTEL_URL and LINTEL_TOKEN is asked, else the one that runs on this machine. Replaying does no harm:
    a head that has its review gets no second one.
    """


@deliveries.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--host", default="", help="Only those of this host: github, gitlab, …")
@click.option("--repository", default="", metavar="OWNER/NAME", help="Only those of this repository.")
@_limit
@_format
def list_deliveries(state: str | None, host: str, repository: str, limit: int, form: str) -> None:
    """List deliveries, newest first."""
    with connected(DeliveryClient) as lintel:
        found = [
            shape.delivery(each)
            for each in islice(lintel.deliveries(state=state or "unspecified", host=host, repository=repository), limit)
        ]
    if form == "json":
        tables.show_json({"deliveries": found})
    elif not found:
        click.echo("No deliveries" + (" like that." if state or host or repository else " yet."), err=True)
    else:
        head = ("ARRIVED", "ID", "STATE", "HOST", "REPOSITORY", "EVENT", "TRIES", "REASON")
        names = ("id", "state", "host", "repository", "event", "attempts", "reason")
        tables.show_table(head, [_row(each, names) for each in found])


@deliveries.command()
@click.argument("delivery_id", metavar="ID")
@_format
def show(delivery_id: str, form: str) -> None:
    """Show one delivery."""
    with connected(DeliveryClient) as lintel:
        found = shape.delivery(lintel.delivery(delivery_id))
    if form == "json":
        tables.show_json(found)
    else:
        tables.show_table(("FIELD", "VALUE"), [(name, _cell(value)) for name, value in found.items()])


@deliveries.command("replay")
@click.argument("delivery_ids", metavar="ID...", nargs=-1, required=True)
def replay_deliveries(delivery_ids: tuple[str, ...]) -> None:
    """Handle deliveries again, from their stored bodies."""
    with connected(DeliveryClient) as lintel:
        for delivery_id in delivery_ids:
            lintel.redeliver(delivery_id)
            click.echo(f"{delivery_id} is handled again")
    click.echo("`lintel deliveries show ID` tells what becomes of it.", err=True)


@click.group("dead-letters")
def dead_letters() -> None:
    """What nobody could handle, and is kept: deliveries that failed, and events that review could not take in.

    \b
    lintel dead-letters list         what there is, and why
    lintel dead-letters replay ID    handle it again, once the cause is mended
    lintel dead-letters replay --all
    """


@dead_letters.command("list")
@_limit
@_format
def list_dead_letters(limit: int, form: str) -> None:
    """List dead letters, newest first."""
    with connected(DeliveryClient) as lintel:
        found = [shape.dead_letter(each) for each in islice(lintel.dead_letters(), limit)]
    if form == "json":
        tables.show_json({"deadLetters": found})
    elif not found:
        click.echo("No dead letters.", err=True)
    else:
        head = ("ARRIVED", "ID", "KIND", "ABOUT", "HOST", "REPOSITORY", "TRIES", "REASON")
        names = ("id", "kind", "topic", "host", "repository", "attempts", "reason")
        tables.show_table(head, [_row(each, names) for each in found])


@dead_letters.command("replay")
@click.argument("letter_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every dead letter that there is now.")
@click.pass_context
def replay_dead_letters(context: click.Context, letter_ids: tuple[str, ...], everything: bool) -> None:
    """Handle dead letters again; exit status 1 where one of them could not be."""
    if everything == bool(letter_ids):
        raise click.UsageError("name dead letters by their ID, or give --all")
    failed = 0
    with connected(DeliveryClient) as lintel:
        for letter_id in [each.id for each in lintel.dead_letters()] if everything else letter_ids:
            try:
                lintel.replay(letter_id)
            except RefusedError as error:
                failed += 1
                click.echo(f"{letter_id}: {error}", err=True)
            else:
                click.echo(f"{letter_id} is handled again")
    context.exit(1 if failed else 0)


def _row(found: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [tables.moment(found["createTime"]), *(_cell(found[name]) for name in names)]


def _cell(value: object) -> str:
    return "-" if value in ("", None) else str(value)
