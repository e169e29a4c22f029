"""`lintel dev`: checks and generators for people who change Lintel; `.ci/run` calls them."""

import os
import subprocess
import sys
from pathlib import Path

import click

from cli.layout import ROOT
from cli.supervisor.plan import python_environment

CHECKED = ("services", "gateway", "cli", "client", "emulators", "migrations", "bench", "tests")
LOCKS = ("requirements", "requirements-embedded", "requirements-dev")
IMAGE, BASELINE = "protos/gen/descriptors.binpb", "protos/baseline.binpb"
LOCK_OPTIONS = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-header"]


@click.group()
def dev() -> None:
    """Checks and generators for people who change Lintel."""


@dev.command(short_help="Ruff, and who may import whom.")
def lint() -> None:
    """Ruff's rules and layout, and who may import whom."""
    _run("ruff", "check", ".")
    _run("ruff", "format", "--check", ".")
    _run("lint-imports")


@dev.command()
def types() -> None:
    """Strict mypy over all of our code."""
    _run("mypy", *CHECKED)


@dev.command(short_help="The protos and the code made from them.")
def protos() -> None:
    """Lint and layout of the protos, that nothing published breaks, and that what is made of them is committed."""
    _run("buf", "lint")
    _run("buf", "format", "--diff", "--exit-code")
    _run(sys.executable, "protos/generate.py")
    # On images: buf compares no workspace of two modules with one image.
    _run("buf", "breaking", IMAGE, "--against", BASELINE)
    _run(sys.executable, "-m", "gateway.openapi", "docs/openapi.json")
    made = ("protos/gen", "docs/openapi.json")
    _run("git", "diff", "--exit-code", "--stat", "--", *made)
    new = _output("git", "ls-files", "--others", "--exclude-standard", "--", *made)
    if new:
        raise click.ClickException(f"generated files are not committed:\n{new}")


@dev.command(short_help="Make the protos as they are what must not break.")
def baseline() -> None:
    """Make the protos as they are now what later ones are held against (`buf breaking` in `lintel dev protos`).

    Run it with a release, and where an incompatible change is meant; the commit that brings the new
    protos/baseline.binpb says why. docs/api.md tells what counts as one.
    """
    _run(sys.executable, "protos/generate.py")
    _run("buf", "build", IMAGE, "--exclude-source-info", "-o", BASELINE)


@dev.command(
    short_help="Kill, pause and cut everything while webhooks arrive (docs/chaos.md).",
    context_settings={"ignore_unknown_options": True},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def chaos(arguments: tuple[str, ...]) -> None:
    """The long form of the chaos suite; `--help` lists its options, `--seeds N` runs that many."""
    command = [sys.executable, "-m", "tests.chaos", *arguments]
    status = subprocess.run(command, cwd=ROOT, env=python_environment(os.environ), check=False).returncode
    if status != 0:
        raise click.exceptions.Exit(status)


@dev.command(short_help="Write the lock files anew (needs uv).")
@click.option("--upgrade", is_flag=True, help="Take the newest versions the .in files allow.")
def lock(upgrade: bool) -> None:
    """Write requirements*.lock anew from requirements*.in (needs uv); no index address goes into them."""
    for name in LOCKS:
        options = [*LOCK_OPTIONS, *(["--upgrade"] if upgrade else [])]
        _run("uv", "pip", "compile", "--quiet", *options, f"{name}.in", "-o", f"{name}.lock")


def _program(name: str) -> str:
    beside = Path(sys.executable).parent / name  # an absolute name stays what it is
    return str(beside) if beside.exists() else name


def _environment() -> dict[str, str]:
    """Our environment with the tools of this Python first; buf finds its plugins by PATH."""
    tools = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([tools, os.environ.get("PATH", os.defpath)])}


def _run(name: str, *arguments: str) -> None:
    click.echo(f"$ {Path(name).name} {' '.join(arguments)}", err=True)
    try:
        done = subprocess.run([_program(name), *arguments], cwd=ROOT, env=_environment(), check=False)
    except FileNotFoundError as error:
        raise click.ClickException(f"{name} is needed and not on PATH") from error
    if done.returncode != 0:
        raise click.exceptions.Exit(1)


def _output(name: str, *arguments: str) -> str:
    done = subprocess.run([_program(name), *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
