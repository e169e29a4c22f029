"""`lintel review`: a local change, reviewed before anybody else sees it."""

import os
import sys
from pathlib import Path

import click
from lintel.review.v1.code_review_service_pb2 import GetReviewResponse

from cli.review import output as outputs
from cli.review.change import Change
from cli.review.formats.text import LEVELS
from cli.review.git import find_repository
from cli.review.patch import STDIN, read_change, read_sarif
from cli.review.ranges import resolve
from cli.review.run import Outcome, reviewed, unread
from cli.review.take import take
from cli.terminal import Progress, clear_line


@click.command()
@click.option("--repo", type=click.Path(path_type=Path), default=".", help="A git repository, or a place in it.")
@click.option("--base", metavar="REF", help="Review what HEAD (or --head) has that this ref does not.")
@click.option("--head", metavar="REF", help="Where the change ends; default: HEAD.")
@click.option("--staged", is_flag=True, help="Review what the next commit would hold.")
@click.option("--diff", "diff", metavar="FILE|-", help="Review this unified diff; needs no repository.")
@click.option("--sarif", "sarif", metavar="FILE", help="Put the results of another tool to the same test.")
@click.option("--format", "form", type=click.Choice(outputs.FORMATS), default="terminal", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there instead of to stdout.")
@click.option(
    "--fail-on",
    type=click.Choice([*LEVELS, outputs.NEVER]),
    default="high",
    show_default=True,
    help="Exit with 1 for findings of this severity or a higher one.",
)
@click.option("--no-model", is_flag=True, help="Analyzers only, even where a model is configured.")
@click.option("--dry-run", is_flag=True, help="Call no model; say what would be read, tokens and price.")
@click.option("--receipt", is_flag=True, help="Show on the terminal what was read, with what, and what was not.")
@click.pass_context
def review(
    context: click.Context,
    repo: Path,
    base: str | None,
    head: str | None,
    staged: bool,
    diff: str | None,
    sarif: str | None,
    form: str,
    output: Path | None,
    fail_on: str,
    no_model: bool,
    dry_run: bool,
    receipt: bool,
) -> None:
    """Review a change of a local repository; nothing is posted anywhere, nothing in the repository is changed.

    \b
    lintel review                      your branch and everything not committed yet
    lintel review --staged             what the next commit would hold
    lintel review --base origin/main   your commits since they left origin/main
    lintel review --base v1 --head v2  the commits of v2 since it left v1
    git diff | lintel review --diff -  any diff

    Without a range, the change is everything between the point where HEAD left the default branch (origin/HEAD, else
    main or master) and the working tree, with untracked files and without ignored ones.

    The Lintel of LINTEL_URL and LINTEL_TOKEN does the review, else the one that runs on this machine, else one is
    started for it and removed afterwards. Findings go to stdout, everything else to stderr.

    \b
    Exit status:
    0  no findings at or above --fail-on, or nothing to review
    1  such findings
    2  wrong usage or configuration
    3  not completed: what was found is shown, but silence means nothing
    """
    if diff == STDIN == sarif:
        raise click.UsageError("standard input can be the diff or the SARIF log, not both")
    outputs.require_place(output)
    given = read_sarif(sarif) if sarif is not None else b""
    change = _change(repo, base, head, diff, staged=staged, reserved=len(given))
    click.echo(f"Reviewing {change.description}.", err=True)
    for note in change.notes:
        click.echo(f"note: {note}", err=True)
    if not change.diff:
        click.echo("There is nothing to review: no file is changed.", err=True)
        if form != "terminal" or output is not None:  # a program that reads on wants a document all the same
            outputs.deliver(outputs.render(Outcome(GetReviewResponse()), form), output)
        return
    with (
        Progress("review") as progress,
        reviewed(change, given, no_model=no_model, dry_run=dry_run, watch=progress) as outcome,
    ):
        colour = outputs.wants_colour(output)
        page = outputs.render(outcome, form, colour=colour, receipt=receipt or dry_run)
        if sys.stderr.isatty():
            clear_line()
        outputs.deliver(page, output)
        for note in (*unread(outcome.answer), *outcome.answer.receipt.notes):
            click.echo(f"note: {note}", err=True)
        for failure in outcome.failures:
            click.echo(f"not completed: {failure}", err=True)
    context.exit(outputs.exit_status(outcome, fail_on))


def _change(repo: Path, base: str | None, head: str | None, diff: str | None, *, staged: bool, reserved: int) -> Change:
    """Answer the change the options mean. Raises click.UsageError for options that contradict each other."""
    if diff == STDIN and sys.stdin.isatty():
        raise click.UsageError("--diff - reads a diff from standard input: git diff | lintel review --diff -")
    if not repo.exists():
        raise click.UsageError(f"--repo {repo} does not exist")
    repository = find_repository(repo, os.environ)
    if diff is not None:
        if staged or base or head:
            raise click.UsageError("--diff is a change of its own: leave --base, --head and --staged away")
        return read_change(diff, repository, reserved)
    if repository is None:
        raise click.UsageError(f"{repo.absolute()} is not in a git repository; name one with --repo, or give --diff")
    return take(repository, resolve(repository, base, head, staged=staged), os.environ, reserved)
