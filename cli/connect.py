"""A connection to the Lintel that is meant: the one LINTEL_URL names, else the one that runs here."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from cli.layout import Layout, state_directory
from cli.review.errors import ConfigurationError
from cli.review.system import named, running, settings_of
from client.connection import Connection
from client.errors import LintelError

ConnectionT = TypeVar("ConnectionT", bound=Connection)
_NOWHERE = (
    "no Lintel runs here whose key you may read; `./lintel up --detach` starts one, or set LINTEL_URL and LINTEL_TOKEN"
)


@contextmanager
def connected(kind: type[ConnectionT]) -> Iterator[ConnectionT]:
    """Give a connection; what goes wrong in the block ends the command with its reason (click.ClickException)."""
    layout = Layout(state_directory(os.environ))
    try:
        place = named(settings_of(os.environ, layout)) or running(layout)
        if place is None:
            raise click.ClickException(_NOWHERE)
        with kind(*place) as connection:
            yield connection
    except (LintelError, ConfigurationError) as error:
        raise click.ClickException(str(error)) from None
