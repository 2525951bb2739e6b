"""The command line: a command a file, loaded when it is called.

Errors that the user can mend end with exit status 2 and one sentence; Ctrl-C and SIGTERM with 130
and 143. Nothing heavy is imported until a command needs it.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from types import FrameType

import click

from physim import __version__
from physim.errors import PhysimError, unknown

COMMANDS = {
    "render": "Make a data set.",
    "systems": "List the systems, or the integrators, styles and recipes.",
    "inspect": "Show what a data set holds.",
    "preview": "Draw a contact sheet, GIF or MP4 of a data set.",
    "report": "Write an HTML report of a data set.",
    "verify": "Check every promise of a data set.",
    "export": "Write a data set in another format.",
    "check": "Run the accuracy study of the integrators.",
}


class Commands(click.Group):
    """A group whose commands are modules of this package, imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a user's way."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"physim.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 - a mistake of ours, not of the user
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse an unknown command with the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(unknown("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="physim")
def cli() -> None:
    """Simulate Hamiltonian systems, draw them, and write them as data sets.

    \b
    Example:
        physim render --system pendulum --n 1000
        physim preview datasets/pendulum -o pendulum.gif
    """


_stopped_by: list[int] = []


def _stop(number: int, frame: FrameType | None) -> None:
    _stopped_by.append(number)
    check_stopped()


def check_stopped() -> None:
    """Raise again what Ctrl-C or SIGTERM raised, in case that was lost.

    Python drops an exception that a signal handler raises inside a destructor or the callback of a
    weak reference. A long loop calls this once a round.
    """
    if signal.SIGTERM in _stopped_by:
        raise SystemExit(128 + signal.SIGTERM)
    if _stopped_by:
        raise KeyboardInterrupt


def run(group: click.Group) -> int:
    """Run a group of commands and turn errors into a line and an exit status.

    Arguments:
        group: The commands.

    Returns:
        The exit status.
    """
    _stopped_by.clear()
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        result = group.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        click.echo(f"Error: {error.format_message()}", err=True)
        return error.exit_code
    except PhysimError as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return result if isinstance(result, int) else 0


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(cli))
