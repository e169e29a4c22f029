"""`lintel demo`: see a review from the webhook to the code host, with nothing set up."""

import re
from pathlib import Path

import click

from cli.demo import run as demo_run
from cli.demo.change import LAST_COMMITS, resolve
from cli.layout import ROOT
from cli.terminal import Progress, interrupt_once


@click.command()
@click.option("--repo", type=click.Path(path_type=Path), help="A local git repository.  [default: this one]")
@click.option("--base", metavar="REF", help=f"Where the change begins.  [default: {LAST_COMMITS} commits back]")
@click.option("--head", metavar="REF", help="Where it ends.  [default: HEAD]")
def demo(repo: Path | None, base: str | None, head: str | None) -> None:
    """Review a real change of a local repository, and print what was posted.

    Starts the whole system on free ports with a state of its own, and a code host that serves the repository; sends
    the code host's signed webhook; reads the review back from the code host; stops everything. Needs no key and no
    account, and leaves nothing behind.
    """
    interrupt_once()
    change = resolve(repo or ROOT, base, head)
    click.echo(f"Reviewing {change.description} of {change.repository}", err=True)
    with Progress("demo") as progress:
        try:
            result = demo_run.run(change, progress)
        except demo_run.DemoError as error:
            raise click.ClickException(str(error)) from None
    click.echo(_page(result))
    edge = "through Envoy" if result.edge == "envoy" else "without Envoy, the gateway listened itself"
    click.echo(
        f"Started in {result.start_seconds:.1f} s, reviewed in {result.review_seconds:.1f} s {edge}. "
        f"{result.model}. Everything is stopped; nothing was kept.",
        err=True,
    )
    if repo is None:
        click.echo(
            "Next: `./lintel demo --repo PATH` for a repository of yours, `./lintel up --detach` to stay.", err=True
        )


def _page(result: demo_run.DemoResult) -> str:
    title = f"{result.repository} #{result.number}, as the code host shows it"
    parts = [title, "=" * len(title), "", _visible(result.summary), ""]
    if not result.comments:
        return "\n".join(parts[:-1])
    heading = f"{len(result.comments)} inline comment{'s' if len(result.comments) != 1 else ''}"
    parts += [heading, "-" * len(heading)]
    for comment in result.comments:
        parts += ["", click.style(f"{comment.path}:{comment.line}", bold=True)]
        parts += [f"    {line}" for line in _visible(comment.body).splitlines()]
    return "\n".join(parts)


def _visible(body: str) -> str:
    """Answer what a reader sees: hidden marks left out."""
    return re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL).strip()
