"""The command line `hgn-train`: one module a command, imported when the command is used.

Errors that the user can mend end with exit status 2 and one sentence; Ctrl-C with 130. A training
that is asked to stop saves first.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from physim import __version__
from physim.errors import PhysimError, unknown

COMMANDS = {
    "auto": "Render what is missing, train, evaluate and report: what `make train` calls.",
    "fit": "Train a model.",
    "evaluate": "Measure a trained model, and write its report.",
    "sample": "Draw new trajectories from a trained model.",
    "rollout": "Roll test trajectories out: backward, slower or faster.",
    "table": "Put runs beside the reported figures.",
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
        return import_module(f"hgn_train.cli.{cmd_name}").command

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
@click.version_option(__version__, prog_name="hgn-train")
def cli() -> None:
    """Learn Hamiltonian dynamics from pixels.

    \b
    Example:
        hgn-train auto --system pendulum
        hgn-train rollout runs/pendulum-small --backward --speed 0.5 -o slow.gif
    """


def run(group: click.Group, arguments: list[str] | None = None) -> int:
    """Run a group of commands and turn errors into a line and an exit status.

    Arguments:
        group: The commands.
        arguments: Words of the command line; those of this process where None.

    Returns:
        The exit status.
    """
    try:
        result = group.main(arguments, standalone_mode=False)
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
    return result if isinstance(result, int) else 0


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(cli))
