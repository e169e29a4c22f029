"""How `lintel review` ends when it can't end well; wrong usage is click.UsageError, status 2."""

import click

NOT_COMPLETED = 3


class NotCompletedError(click.ClickException):
    """The review was not brought to its end; exit status 3."""

    exit_code = NOT_COMPLETED

    def __init__(self, message: str) -> None:
        super().__init__(f"not completed: {message}")


class ConfigurationError(click.ClickException):
    """Something that is configured is wrong; exit status 2."""

    exit_code = 2
