"""`physim preview`: see trajectories of a data set."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("preview")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The file to write: a contact sheet (.png), or trajectories in motion (.gif, .mp4).",
)
@click.option("--split", default="train", show_default=True, help="Split to show.")
@click.option(
    "--index",
    multiple=True,
    metavar="I|I:J",
    help="A trajectory, or those from I up to, not including, J; repeatable.  [default: 0:8]",
)
@click.option(
    "--columns", type=int, help="Frames per row of a sheet, or trajectories per row of a film."
)
@click.option(
    "--scale", type=int, help="Magnification of each pixel.  [default: frames of about 80]"
)
@click.option("--fps", type=float, help="Frames per second of a film.  [default: 20]")
def command(
    path: Path,
    output: Path,
    split: str,
    index: tuple[str, ...],
    columns: int | None,
    scale: int | None,
    fps: float | None,
) -> None:
    """Draw trajectories of the data set PATH; of one that is not finished, those that are there.

    \b
    Example:
        physim preview datasets/two_body -o two_body.gif --index 0:16 --columns 8
    """
    from physim import pictures
    from physim.dataset import open as open_dataset

    dataset = open_dataset(path, unfinished=True)
    chosen = [number for text in index for number in _numbers(text)] if index else None
    pictures.save(
        dataset, output, split=split, index=chosen, columns=columns, scale=scale, fps=fps
    )
    click.echo(str(output))
    if dataset.unfinished:
        click.echo(f"{path}: {dataset.unfinished}", err=True)


def _numbers(text: str) -> range:
    """`7` is one trajectory, `0:8` eight."""
    from physim.errors import RecipeError

    first, colon, last = text.partition(":")
    try:
        start = int(first)
        found = range(start, int(last) if colon else start + 1)
    except ValueError:
        found = range(0)
    if not found or len(found) > 10_000:
        raise RecipeError(f"--index: got '{text}', expected a number or a range such as 0:8")
    return found
