"""Figure 7: new trajectories, sampled from a trained HGN."""

from __future__ import annotations

from collections.abc import Sequence

from hgn_train.paper import page
from hgn_train.paper.figure import Drawing, Figure, Material, Need

ROWS = {"mixture": 3, "normal": 2}
"""How many samples of each prior are shown."""

NAMES = {"mixture": "fitted prior", "normal": "N(0, 1)"}


def draw(material: Material) -> Drawing:
    """A block of rows per system: samples of the fitted prior, then of N(0, 1).

    Arguments:
        material: Of which the runs of HGN count.

    Returns:
        The figure.
    """
    runs = material.of("hgn")
    columns = 2 if len(runs) > 1 else 1
    lines = -(-len(runs) // columns)
    drawn = page.sheet((0.38 * sum(ROWS.values()) + 0.35) * lines * (2 if columns == 1 else 1))
    axes = drawn.subplots(lines, columns, squeeze=False).ravel()
    for axis, run in zip(axes, runs, strict=False):
        strips = [strip for kind, n in ROWS.items() for strip in run.arrays[f"samples_{kind}"][:n]]
        labels = [NAMES[kind] for kind, n in ROWS.items() for _ in range(n)]
        page.frames(axis, strips, labels[: len(strips)], 10)
        axis.set_title(run.need.subject, loc="left")
    for axis in axes[len(runs) :]:
        axis.set_axis_off()
    distances = "; ".join(
        f"{run.need.subject} {1e4 * run.results['samples']['mixture']:.2f} and "
        f"{1e4 * run.results['samples']['normal']:.2f}, test frames "
        f"{1e4 * run.results['samples']['test_frames']:.2f}"
        for run in runs
    )
    caption = (
        "New trajectories, one per row, ten frames each: the first "
        f"{ROWS['mixture']} and {ROWS['normal']} samples, unselected. A latent variable is drawn "
        "from the mixture of Gaussians fitted to the posteriors of the training data, "
        "or from N(0, 1) as in the paper, rolled out along the learned Hamiltonian and decoded. "
        "Mean squared distance × 1e4 of a sampled frame to the nearest training frame, fitted "
        f"prior and N(0, 1): {distances}."
    )
    return Drawing(drawn, caption, runs)


def needs(systems: Sequence[str]) -> list[Need]:
    """HGN on every system."""
    return [Need("hgn", name) for name in systems]


FIGURE = Figure(7, "samples", "New trajectories from the prior", draw, needs, ("hgn",))
