"""`hgn-train predict`: frames in the form that `physim score` reads."""

from __future__ import annotations

from pathlib import Path

import click

from hgn_train.cli import options

ROWS = 64


@click.command("predict")
@options.run_argument
@click.option(
    "-n",
    type=int,
    help="Number of test trajectories.  [default: 512, or all where there are fewer]",
)
@options.first_option
@click.option("--before", default=0, show_default=True, help="Frames before the stored ones.")
@click.option("--after", default=0, show_default=True, help="Frames after the stored ones.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("predictions.npy"),
    show_default=True,
    help="A .npy file of numbers from 0 to 1.",
)
@options.data_option
@options.device_option
def command(
    run: Path,
    n: int | None,
    first: int,
    before: int,
    after: int,
    out: Path,
    data: str | None,
    device: str,
) -> None:
    """Predict the frames of test trajectories, for `physim score`.

    \b
    Example:
        hgn-train predict runs/pendulum --before 60 --after 60 -o further.npy
        physim score datasets/hgn/pendulum further.npy --start -60
    """
    import numpy as np
    from tqdm import tqdm

    from hgn_train.data import slices
    from hgn_train.evaluation.judged import judged
    from physim.errors import PhysimError

    asked, n = n is not None, 512 if n is None else n
    if n < 1 or before < 0 or after < 0:
        raise PhysimError(
            f"-n, --before, --after: got {n}, {before} and {after}, expected n from 1 and "
            "frames from 0"
        )
    if out.suffix != ".npy":
        raise PhysimError(f"--out: got '{out}', expected a name ending in .npy")
    it = judged(run, options.device_of(device), data)
    images, stored = it.source.dataset.test.image, it.source.dataset.recipe.frames
    rows, frames = options.rows_of(images, first, n), before + stored + after
    if rows.stop - rows.start < n and asked:
        raise PhysimError(
            f"-n: got {n:,}, expected at most {rows.stop - rows.start:,}, the test trajectories "
            f"from number {first:,} on"
        )
    n = rows.stop - rows.start
    ahead, behind = stored - 1 - it.anchor + after, it.anchor + before
    part = out.with_name(out.name + ".part")
    try:
        written = np.lib.format.open_memmap(
            part, mode="w+", dtype=np.float32, shape=(n, frames, *images.shape[2:])
        )
        for block in tqdm(list(slices(n, ROWS)), desc=out.name, unit="block", disable=None):
            chosen = slice(first + block.start, first + block.stop)
            z = it.latents(images[chosen][:, : it.frames])
            written[block] = it.rollout(z, ahead, behind)[0]
        written.flush()
        del written
        part.replace(out)
    except OSError as error:
        raise PhysimError(f"{out}: cannot be written ({error.strerror})") from None
    finally:
        part.unlink(missing_ok=True)
    seen = it.model.settings.inference_frames
    click.echo(
        f"{out}: {n} test trajectories, {frames} frames each, from {seen} of them\n"
        f"  score them   physim score {it.source.folder} {out} --seen {seen}"
        + (f" --first {first}" if first else "")
        + (f" --start -{before}" if before else "")
    )
