"""`lintel users`: who belongs to the organisation, and a new password for somebody who forgot theirs."""

from datetime import UTC

import click

from cli import tables
from cli.connect import connected
from client import shape
from client.users import UserClient

_MIN = 8  # characters; contract section 4


@click.group()
def users() -> None:
    """Users of the organisation.

    \b
    lintel users list                     who there is
    lintel users reset-password EMAIL     a link for somebody who forgot the password
    lintel users set-password             set the password of such a link, here

    The Lintel of LINTEL_URL and LINTEL_TOKEN is asked, else the one that runs on this machine.
    """


@users.command("list")
@click.option("--format", "form", type=click.Choice(tables.FORMATS), default="table", show_default=True)
def list_users(form: str) -> None:
    """List users, oldest first."""
    with connected(UserClient) as lintel:
        found = [shape.user(each) for each in lintel.users()]
    if form == "json":
        tables.show_json({"users": found})
    elif not found:
        click.echo("No users yet: POST /auth/register makes the first one, who owns the organisation.", err=True)
    else:
        names = ("email", "name", "role", "state")
        rows = [[*(str(each[n]) for n in names), tables.moment(each["createTime"]), str(each["id"])] for each in found]
        tables.show_table(("EMAIL", "NAME", "ROLE", "STATE", "SINCE", "ID"), rows)


@users.command("reset-password")
@click.argument("email")
def reset_password(email: str) -> None:
    """Print a link by which the user with this EMAIL sets a new password.

    The link works once, for an hour, and one made before stops working. Give it to nobody else: whoever opens it has
    the account. The password of now stays good until the link is used; then every session of the user ends.
    """
    with connected(UserClient) as lintel:
        made = lintel.password_reset_link(email)
    click.echo(made.link)
    until = made.expire_time.ToDatetime(tzinfo=UTC).astimezone()
    click.echo(
        f"Works once, until {until:%H:%M}. Or `lintel users set-password`, with what follows token= in it.", err=True
    )


@users.command("set-password")
def set_password() -> None:
    """Set the password of a link; asks for its token and for the password, and shows neither."""
    token = click.prompt("Token of the link", hide_input=True).strip().rpartition("token=")[2]
    password = click.prompt("New password", hide_input=True, confirmation_prompt=True)
    if len(password) < _MIN:
        raise click.ClickException(f"a password has at least {_MIN} characters")
    with connected(UserClient) as lintel:
        lintel.set_password(token, password)
    click.echo("The password is set; every session of the user has ended.", err=True)
