"""`hgn-train rollout`: test trajectories backward, slower, faster or longer, beside the truth."""

from __future__ import annotations

from pathlib import Path

import click

from hgn_train.cli import options


@click.command(short_help="Roll out test trajectories: backward, slower or faster.")
@options.run_argument
@click.option("--backward", is_flag=True, help="Run time backward from the inferred state.")
@click.option(
    "--speed", default=1.0, show_default=True, help="Time between frames, in units of dt."
)
@click.option("--frames", default=0, help="Number of frames; by default as many as in training.")
@click.option("-n", "n", default=8, show_default=True, help="Number of test trajectories.")
@options.first_option
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("rollout.gif"),
    show_default=True,
    help="A .gif, an .mp4, a .png of strips, or an .npz of arrays.",
)
@click.option(
    "--truth/--no-truth",
    default=True,
    show_default=True,
    help="Show the simulator's frames above the model's.",
)
@options.data_option
@options.device_option
def command(
    run: Path,
    backward: bool,
    speed: float,
    frames: int,
    n: int,
    first: int,
    out: Path,
    truth: bool,
    data: str | None,
    device: str,
) -> None:
    """Infer states of test trajectories and roll them out along the learned H.

    The true frames, at the same times, are the simulator's: also where the data have none.

    \b
    Example:
        hgn-train rollout runs/pendulum --backward --speed 0.5 -o slow.gif
        hgn-train rollout runs/pendulum --frames 90 -o longer.mp4
    """
    import numpy as np

    from hgn_train.cli.pictures import check_finite, check_name, write_pictures
    from hgn_train.evaluation.images import true_frames
    from hgn_train.evaluation.judged import judged
    from physim.errors import PhysimError

    if not 0 < speed < np.inf:
        raise PhysimError(f"--speed: got {speed}, expected a number above 0")
    if n < 1 or frames < 0:
        raise PhysimError(
            f"-n, --frames: got {n} and {frames}, expected n from 1 and frames from 0"
        )
    check_name(out)
    it = judged(run, options.device_of(device), data)
    split = it.source.dataset.test
    rows = options.rows_of(split, first, n)
    z = it.latents(split.image[rows])
    steps = (frames or it.frames) - 1
    ahead, behind = (0, steps) if backward else (steps, 0)
    images, q, p, energy = it.rollout(z, ahead, behind, speed)
    states = {"q": q, "p": p, "energy": energy}
    check_finite(out, states)  # before the simulator is asked for times that it may not reach
    true = true_frames(it, "test", rows, ahead, behind, speed) if truth else None
    if backward:
        images, states = images[:, ::-1], {name: x[:, ::-1] for name, x in states.items()}
        true = None if true is None else true[:, ::-1]
    note = write_pictures(out, images, states, true, first)
    way = "backward" if backward else "forward"
    what = f"{len(images)} test trajectories, {steps + 1} frames {way} at speed {speed:g}"
    click.echo(f"{out}: {what}{note}")
