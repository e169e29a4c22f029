"""`lintel seed`: what a new installation needs; safe to run again."""

import secrets

import click
from lintel.orgs.v1 import role_pb2

from cli.connect import connected
from client.seeding import SeedClient

DEFAULTS = {"retention": {"analyticsDays": 400}}
_PASSWORD_BYTES = 15  # 20 characters


@click.command()
@click.option("--owner", metavar="EMAIL", help="Also make an owner; the password is printed once, on stdout.")
def seed(owner: str | None) -> None:
    """Set default parameters, and with --owner make somebody who may do everything.

    What is there stays as it is, so it can be run again. Where there are users already, an owner is invited instead:
    the token is printed once, or goes by mail where LINTEL_SMTP_URL is set.

    The Lintel of LINTEL_URL and LINTEL_TOKEN is asked, else the one that runs on this machine.
    """
    with connected(SeedClient) as lintel:
        there = lintel.parameter_keys()
        for key in DEFAULTS.keys() - there:
            lintel.set_parameter(key, DEFAULTS[key])
        made = ", ".join(sorted(DEFAULTS.keys() - there))
        click.echo(f"Parameters set: {made}." if made else "The default parameters are set already.", err=True)
        if owner is not None:
            _make_owner(lintel, owner)


def _make_owner(lintel: SeedClient, email: str) -> None:
    users = {user.email.casefold(): user for user in lintel.users()}
    known = users.get(email.casefold())
    if known is not None:
        if known.role != role_pb2.ROLE_OWNER:
            raise click.ClickException(f"{email} is a user already, and no owner; an owner can change the role")
        click.echo(f"{email} is an owner already.", err=True)
    elif users:
        invited = lintel.invite_owner(email)
        if invited.mailed:
            click.echo(f"{email} is invited by mail.", err=True)
        else:
            click.echo(f"{email} is invited; the token for POST /user/invite/accept, shown this once:", err=True)
            click.echo(invited.token)
    else:
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        lintel.register(email, password, email.partition("@")[0])
        click.echo(f"{email} owns the organisation; the password, shown this once:", err=True)
        click.echo(password)
