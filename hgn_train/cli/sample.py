"""`hgn-train sample`: new trajectories, or new points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hgn_train.cli import options


@click.command(short_help="Sample new trajectories from a trained model.")
@options.run_argument
@click.option("-n", "n", default=16, show_default=True, help="Number of samples.")
@click.option(
    "--prior",
    "kind",
    default="mixture",
    show_default=True,
    help="mixture (fitted to the training posteriors) or normal (N(0, 1), as in the paper).",
)
@click.option("--frames", default=0, help="Frames of each; by default as many as in training.")
@click.option("--seed", default=0, show_default=True, help="Seed of the samples.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("samples.gif"),
    show_default=True,
    help="A .gif, an .mp4, a .png of strips, or an .npz of arrays; for an nhf a .npy or .csv of "
    "points.",
)
@click.option("--data", help="Where the data set that it was trained on has moved.")
@options.device_option
def command(
    run: Path,
    n: int,
    kind: str,
    frames: int,
    seed: int,
    out: Path,
    data: str | None,
    device: str,
) -> None:
    """Sample latent variables, roll them out along the learned H, and draw them.

    For an nhf these are points from the learned density.

    \b
    Example:
        hgn-train sample runs/pendulum -n 16 -o samples.gif
        hgn-train sample runs/circle -n 10000 -o points.npy
    """
    import torch

    from hgn_train import models, settings
    from hgn_train.cli.pictures import check_name, write_pictures
    from hgn_train.evaluation import elsewhere
    from hgn_train.evaluation.judged import judged
    from hgn_train.evaluation.latents import fit_prior, sample_latents
    from physim.errors import PhysimError

    if n < 1 or frames < 0:
        raise PhysimError(
            f"-n, --frames: got {n} and {frames}, expected n from 1 and frames from 0"
        )
    chosen = options.device_of(device)
    trained = settings.load(run)
    model = trained.model
    if models.find(model).evaluation == "densities":
        for name, given in (
            ("--prior", kind != "mixture"),
            ("--frames", frames),
            ("--data", data),
        ):
            if given:
                raise PhysimError(
                    f"{name}: '{model}' draws points, which need no prior, frames or data"
                )
        write_points(run, n, seed, out, chosen)
        click.echo(f"{out}: {n} sampled points")
        return
    check_name(out)
    it = judged(run, chosen, data)
    if data and elsewhere.folder_of(run, trained, data) != run:
        raise PhysimError(
            f"--data: {data} holds other data than {run} was trained on, and samples follow from "
            "those alone"
        )
    if kind == "mixture":
        fit_prior(run, chosen, data)
    generator = torch.Generator(device=chosen).manual_seed(seed)
    z = sample_latents(it.model, run, kind, n, generator)
    ahead = max(0, (frames or it.frames) - 1 - it.anchor)
    length = frames or it.frames
    images, q, p, energy = (array[:, :length] for array in it.rollout(z, ahead, it.anchor))
    note = write_pictures(out, images, {"q": q, "p": p, "energy": energy})
    click.echo(f"{out}: {n} sampled trajectories of {length} frames{note}")


def write_points(run: Path, n: int, seed: int, out: Path, device: Any) -> None:
    """Write samples of a flow to a file, one row per point.

    Raises:
        PhysimError: The file cannot be written, or its ending is not supported.
    """
    import numpy as np
    import torch

    from hgn_train import checkpoint, files, points
    from physim.errors import PhysimError

    if out.suffix not in points.SUFFIXES:
        raise PhysimError(
            f"--out: got '{out}', expected a name ending in {', '.join(points.SUFFIXES)}"
        )
    model: Any = checkpoint.load_model(run, device)[0]
    drawn = model.sample((n,), torch.Generator(device).manual_seed(seed)).cpu().numpy()
    with files.written(out) as file:
        if out.suffix == ".npy":
            np.save(file, drawn)
        else:
            np.savetxt(file, drawn, fmt="%.9g", delimiter=",")
