"""`physim score`: score the predictions of any model."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("score")
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True, help="Predicted split.")
@click.option("--first", default=0, show_default=True, help="First predicted trajectory.")
@click.option(
    "--start",
    default=0,
    show_default=True,
    help="First predicted frame; −60 is 60 before the stored ones.",
)
@click.option("--seen", default=5, show_default=True, help="Number of frames given to the model.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    path: Path,
    predictions: Path,
    split: str,
    first: int,
    start: int,
    seen: int,
    as_json: bool,
) -> None:
    """Score predicted frames of any model.

    PREDICTIONS is a .npy file, or an HDF5 file with the array `image`: (n, T, height, width, 3),
    uint8 or numbers from 0 to 1. Frames beyond the stored ones are compared with the
    simulator's.

    \b
    Example:
        physim score datasets/hgn/pendulum predictions.npy
        physim score datasets/hgn/pendulum further.h5 --start -60 --json
    """
    from physim.dataset import open as open_dataset
    from physim.predictions import read_predictions
    from physim.scoring import score

    dataset = open_dataset(path)
    with read_predictions(predictions) as frames:
        result = score(dataset, frames, split, first=first, start=start, seen=seen)
    click.echo(json.dumps(result.as_dict(), indent=1) if as_json else str(result))
    if (stored := result.parts.get("stored")) and stored.error > stored.average_image:
        click.echo(
            "The predictions are further from the frames than the average image is. If your model "
            "is better than that, look at --start and --first, at the order of trajectories, "
            "times, rows and colours, and at the scale of the numbers.",
            err=True,
        )
    chosen = ctx.get_parameter_source("start") is not click.core.ParameterSource.DEFAULT
    total = len(result.per_frame)
    if not chosen and 0 < seen == dataset.recipe.frames - total:
        click.echo(
            f"The predictions were compared with frames 0…{total - 1}; if they are those after "
            f"the {seen} given ones, pass --start {seen}.",
            err=True,
        )
