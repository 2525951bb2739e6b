"""The command line `hgn-train`: one file per command, imported when it is called.

A run that is told to stop saves first.
"""

from __future__ import annotations

import os
import sys

import click

from physim import __version__
from physim.command_line import Commands, run

COMMANDS = {
    "auto": "Render what is missing, train, evaluate and report: what `make train` calls.",
    "fit": "Train a model.",
    "evaluate": "Measure a trained model, and write its report.",
    "sample": "Sample new trajectories from a trained model.",
    "predict": "Write predicted frames for `physim score`.",
    "rollout": "Roll out test trajectories: backward, slower or faster.",
    "table": "Tabulate runs beside the reported values.",
    "figures": "Make the paper's figures.",
}


@click.group(cls=Commands, package="hgn_train.cli", summaries=COMMANDS)
@click.version_option(__version__, prog_name="hgn-train")
def cli() -> None:
    """Learn Hamiltonian dynamics from pixels or states, and densities from points.

    \b
    Example:
        hgn-train auto --system pendulum
        hgn-train rollout runs/pendulum-small --backward --speed 0.5 -o slow.gif
    """


def main() -> None:
    """Entry point of the console script."""
    # threads that wait for work soon let others have the core; read when PyTorch is loaded
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    sys.exit(run(cli))
