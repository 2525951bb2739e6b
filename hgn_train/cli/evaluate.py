"""`hgn-train evaluate`: measure a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from hgn_train.cli import options


@click.command(short_help="Measure a trained model, and write its report.")
@options.run_argument
@click.option("--data", default=None, help="Another data set than the one it was trained on.")
@click.option("--n", default=512, show_default=True, help="Trajectories of each split.")
@click.option(
    "--extra",
    default=60,
    show_default=True,
    help="Frames further than trained, forward and backward.",
)
@options.device_option
def command(run: Path, data: str | None, n: int, extra: int, device: str) -> None:
    """Measure a trained model on both splits, further in time and at other speeds.

    Prints the table, and writes evaluation.json, evaluation.npz and report.html into the run's
    folder.

    \b
    Example:
        hgn-train evaluate runs/pendulum
    """
    from hgn_train import evaluation, report, settings
    from physim.errors import PhysimError

    if n < 1 or extra < 1:
        raise PhysimError(f"--n, --extra: got {n} and {extra}, expected numbers from 1")
    chosen = options.device_of(device)
    kind = evaluation.find(settings.load(run).model)
    results = kind.evaluate(
        run, chosen, n, extra, data, say=lambda line: click.echo(f"  {line}", err=True)
    )
    click.echo(report.text(results))
    click.echo(f"report: {report.write(run)}")
