"""`hgn-train rollout`: test trajectories backward, slower, faster or longer."""

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
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("rollout.gif"),
    show_default=True,
    help="A .gif, a .png of strips, or an .npz of arrays.",
)
@options.device_option
def command(
    run: Path, backward: bool, speed: float, frames: int, n: int, out: Path, device: str
) -> None:
    """Infer states of test trajectories and roll them out along the learned H.

    \b
    Example:
        hgn-train rollout runs/pendulum --backward --speed 0.5 -o slow.gif
    """
    import numpy as np

    from hgn_train.cli.pictures import check_name, write_pictures
    from hgn_train.evaluation.judged import judged
    from physim.errors import PhysimError

    if not 0 < speed < np.inf:
        raise PhysimError(f"--speed: got {speed}, expected a number above 0")
    if n < 1 or frames < 0:
        raise PhysimError(
            f"-n, --frames: got {n} and {frames}, expected n from 1 and frames from 0"
        )
    check_name(out)
    it = judged(run, options.device_of(device))
    split = it.source.dataset.test
    n = min(n, len(split))
    z = it.latents(split.image[:n])
    steps = (frames or it.frames) - 1
    images, q, p, energy = it.rollout(z, 0 if backward else steps, steps if backward else 0, speed)
    if backward:
        images, q, p, energy = images[:, ::-1], q[:, ::-1], p[:, ::-1], energy[:, ::-1]
    write_pictures(out, images, {"q": q, "p": p, "energy": energy})
    way = "backward" if backward else "forward"
    click.echo(f"{out}: {n} test trajectories, {steps + 1} frames {way} at speed {speed:g}")
