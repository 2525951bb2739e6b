"""`hgn-train evaluate`: measure a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from hgn_train.cli import options


@click.command(short_help="Measure a trained model, and write its report.")
@options.run_argument
@options.data_option
@click.option(
    "--n",
    type=int,
    help="Rows of each split.  [default: 512 trajectories, or 5000 points for a flow]",
)
@click.option(
    "--extra",
    type=int,
    help="Frames beyond the data, forward and backward.  "
    "[default: 60 for frames; for states the rollout time of the HNN paper]",
)
@click.option(
    "--spline-flow",
    is_flag=True,
    help="Also train a neural spline flow of the same size for as long as an nhf, with zuko.",
)
@options.device_option
def command(
    run: Path, data: str | None, n: int | None, extra: int | None, spline_flow: bool, device: str
) -> None:
    """Measure a trained model on both splits; of frames also at other times and speeds.

    Prints the table, and writes evaluation.json, evaluation.npz and report.html into the run's
    folder, or, for data other than its own, into on-NAME below it.

    \b
    Example:
        hgn-train evaluate runs/pendulum
    """
    from hgn_train import evaluation, report, settings
    from hgn_train.evaluation import elsewhere
    from physim.errors import PhysimError

    def say(line: str) -> None:
        click.echo(f"  {line}", err=True)

    if any(number is not None and number < 1 for number in (n, extra)):
        raise PhysimError(f"--n, --extra: got {n} and {extra}, expected numbers from 1")
    chosen = options.device_of(device)
    trained = settings.load(run)
    kind = evaluation.find(trained.model)
    place = elsewhere.folder_of(run, trained, data or trained.data)
    if spline_flow and place != run:
        raise PhysimError(
            f"--spline-flow: is trained on the run's own target, '{trained.data}'; got --data "
            f"'{data}', expected only one of the two options"
        )
    if extra is not None and trained.model == "nhf":
        raise PhysimError("--extra: a flow has no frames and no motion to be followed further")
    if spline_flow:
        from hgn_train.evaluation.spline_flow import fit

        fit(run, say)
    given = {} if n is None else {"n": n}
    results = kind.evaluate(run, chosen, extra=extra, folder=data, say=say, **given)
    click.echo(report.text(results))
    if place != run:
        click.echo(f"evaluated on data other than the run's own; results in {place}")
    click.echo(f"report: {report.write(place)}")
