"""The command line `physim`: one file per command, loaded when it is called."""

from __future__ import annotations

import contextlib
import gc
import os
import sys

import click

from physim import __version__
from physim.command_line import Commands, run

COMMANDS = {
    "render": "Make a data set.",
    "systems": "List the systems, or the integrators, styles and recipes.",
    "inspect": "Show the contents of a data set.",
    "preview": "Draw a contact sheet, GIF or MP4 of a data set.",
    "report": "Write an HTML report of a data set.",
    "verify": "Check that a data set is intact and correct.",
    "score": "Score predicted frames from any model.",
    "export": "Write a data set in another format.",
    "check": "Run the accuracy study of the integrators.",
}


@click.group(cls=Commands, package="physim.cli", summaries=COMMANDS)
@click.version_option(__version__, prog_name="physim")
def cli() -> None:
    """Simulate Hamiltonian systems, draw them, and write them as data sets.

    \b
    Example:
        physim render --system pendulum --n 1000
        physim preview datasets/pendulum -o pendulum.gif
    """


def main() -> None:
    """Entry point of the console script.

    The modules that a command loads create half a million long-lived objects, so the garbage
    collector runs rarely; and a finished process exits at once, as unloading compiled kernels
    takes a quarter of a second.
    """
    gc.set_threshold(100_000)
    status = run(cli)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # the reader is gone
            stream.flush()
    if "distributed" in sys.modules:  # which stops its own processes
        sys.exit(status)
    os._exit(status)
