"""What the command lines of this repository share: commands on demand, errors as one line.

Errors that the user can fix end with exit status 2 and one sentence; Ctrl-C and SIGTERM with 130
and 143. Nothing heavy is imported until a command needs it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

import click

from physim.errors import PhysimError, unknown

_stopped_by: list[int] = []
_deferred: list[bool] = []


class Commands(click.Group):
    """A group whose commands are modules of a package, imported when they are called.

    Arguments:
        package: Name of the package; each of its modules holds a click command named `command`.
        summaries: A line about each command, by name, in the order in which users need them.
    """

    def __init__(self, *, package: str, summaries: Mapping[str, str], **settings: Any) -> None:
        settings.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(**settings)
        self.package = package
        self.summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names."""
        return list(self.summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in self.summaries:
            return None
        found: click.Command = import_module(f"{self.package}.{cmd_name}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse an unknown command with the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in self.summaries:
            raise click.UsageError(unknown("command", args[0], self.summaries))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries.items()))


def run(group: click.Group, arguments: list[str] | None = None) -> int:
    """Run a group of commands and turn errors into a line and an exit status.

    Arguments:
        group: The commands.
        arguments: Words of the command line; those of this process where None.

    Returns:
        The exit status.
    """
    _stopped_by.clear()
    before = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
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
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return result if isinstance(result, int) else 0


@contextmanager
def stopping_between_rounds() -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM wait for the next `check_stopped`, once per round of a loop.

    An exception that a signal handler raises in the middle of a destructor or of the callback of
    a weak reference is dropped by Python, with a traceback; a busy loop is often amid one.
    """
    _deferred.append(True)
    try:
        yield
    finally:
        _deferred.pop()


def check_stopped() -> None:
    """Raise what Ctrl-C or SIGTERM has asked for."""
    if signal.SIGTERM in _stopped_by:
        raise SystemExit(128 + signal.SIGTERM)
    if _stopped_by:
        raise KeyboardInterrupt


def _stop(number: int, frame: FrameType | None) -> None:
    _stopped_by.append(number)
    if not _deferred:
        check_stopped()


def size_text(n: float) -> str:
    """A number of bytes in words.

    Example:
        >>> size_text(36_700_000)
        '36.7 MB'
        >>> size_text(999_600)
        '1 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n < 999.5:  # what three digits do not round up to the next unit
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} TB"


def percent(part: int, whole: int) -> str:
    """A share in words.

    Example:
        >>> percent(1, 3), percent(1, 80)
        ('33 %', '1.2 %')
    """
    return f"{100 * part / whole:.2g} %" if part < whole else "100 %"


def smaller_text(raw: int, stored: int) -> str:
    """How much smaller than its pixels a data set is, where it is: it holds the states, too.

    Example:
        >>> smaller_text(1140, 100), smaller_text(300, 200), smaller_text(100, 100)
        (', 11 times smaller than pixels', ', 1.5 times smaller than pixels', '')
    """
    ratio = raw / max(stored, 1)
    digits = 0 if ratio >= 9.95 else 1
    return f", {ratio:.{digits}f} times smaller than pixels" if ratio >= 1.05 else ""
