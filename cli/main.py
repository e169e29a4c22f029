"""The `lintel` command and how it ends: 0 done, 1 failed, 2 wrong usage or configuration."""

import importlib
import sys
from collections.abc import Mapping

import click

from cli.embedded import SystemStartError, SystemStopError
from cli.engines.accounts import EngineError
from cli.environment import EnvironmentFileError

# name: (module and attribute, one line of help). A command's module is imported when the command is used.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("cli.commands.demo:demo", "Review a real change, with nothing set up."),
    "review": ("cli.commands.review:review", "Review a local change; nothing is posted, nothing changed."),
    "up": ("cli.commands.up:up", "Start the whole system on this machine."),
    "down": ("cli.commands.system:down", "Stop it; everything is kept."),
    "restart": ("cli.commands.system:restart", "Stop it and start it again in the background."),
    "status": ("cli.commands.status:status", "Show processes, addresses and notes."),
    "logs": ("cli.commands.logs:logs", "Show what the processes wrote."),
    "deliveries": ("cli.commands.deliveries:deliveries", "Show what the code hosts sent, and handle it again."),
    "dead-letters": ("cli.commands.deliveries:dead_letters", "Show what nobody could handle, and handle it again."),
    "users": ("cli.commands.users:users", "Show users, and let one who forgot the password set a new one."),
    "keys": ("cli.commands.keys:keys", "Make new secrets in place of those that sign and encrypt."),
    "audit": ("cli.commands.audit:audit", "Take the audit log elsewhere, and find out whether it is whole."),
    "clean": ("cli.commands.system:clean", "Delete the state of the embedded system, after asking."),
    "doctor": ("cli.commands.doctor:doctor", "Look at everything Lintel needs, and say what is wrong."),
    "migrate": ("cli.commands.migrate:migrate", "Bring the database schema up to date, or look at it."),
    "seed": ("cli.commands.seed:seed", "Set default parameters, and make an owner when asked."),
    "test": ("cli.commands.test:test", "Run the test suite; arguments go to pytest."),
    "dev": ("cli.commands.dev:dev", "Checks and generators for people who change Lintel."),
}


class Commands(click.Group):
    """Loads each command from the table on first use, so that starting stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def lintel() -> None:
    """Self-hosted code review: every finding quotes real lines of the diff, at their place.

    \b
    ./lintel demo           see one review, from the webhook to the code host
    ./lintel up --detach    start everything in the background
    ./lintel status         see what runs, and where
    ./lintel logs -f        follow what it does
    ./lintel down           stop it

    State is kept in LINTEL_STATE_DIR, else the user's XDG state directory, else (as root) /var/lib/lintel.
    `./lintel COMMAND --help` explains a command.
    """


def main() -> None:
    """Run the command line and end the process with its status."""
    try:
        status = lintel.main(prog_name="./lintel", standalone_mode=False)
    except click.exceptions.Exit as end:
        status = end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        status = error.exit_code
    except click.UsageError as error:
        asked = error.ctx.command_path if error.ctx else "./lintel"
        status = _fail(f"{error.format_message()}\n`{asked} --help` says what it takes.", error.exit_code)
    except click.ClickException as error:
        status = _fail(error.format_message(), error.exit_code)
    except EnvironmentFileError as error:
        status = _fail(error, 2)
    except (SystemStartError, SystemStopError, EngineError) as error:
        status = _fail(error, 1)
    except PermissionError as error:
        status = _fail(f"{error.filename}: {error.strerror}; run as the user who started Lintel", 1)
    except (click.Abort, KeyboardInterrupt):
        status = _fail("stopped", 130)
    except BrokenPipeError:  # the reader of our output left, as `head` does
        sys.stderr.close()
        status = 0
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: object, status: int) -> int:
    click.echo(f"lintel: {message}", err=True)
    return status
