"""Figure 7: new trajectories, sampled from a trained HGN."""

from __future__ import annotations

from collections.abc import Sequence

from hgn_train.paper import page
from hgn_train.paper.figure import Drawing, Figure, Material, Need, Run

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
        rows = [
            (NAMES[kind], strip)
            for kind in kinds(run)
            for strip in run.arrays[f"samples_{kind}"][: ROWS[kind]]
        ]
        page.frames(axis, [strip for _, strip in rows], [name for name, _ in rows], 10)
        axis.set_title(run.need.subject, loc="left")
    for axis in axes[len(runs) :]:
        axis.set_axis_off()
    distances = "; ".join(
        f"{run.need.subject} "
        + " and ".join(f"{1e4 * run.results['samples'][kind]:.2f}" for kind in kinds(run))
        + f", test frames {1e4 * run.results['samples']['test_frames']:.2f}"
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


def kinds(run: Run) -> list[str]:
    """Priors that a run was sampled from: a model that draws nothing at random has one alone."""
    return [kind for kind in ROWS if f"samples_{kind}" in run.arrays]


def needs(systems: Sequence[str]) -> list[Need]:
    """HGN on every system."""
    return [Need("hgn", name) for name in systems]


FIGURE = Figure(7, "samples", "New trajectories from the prior", draw, needs, ("hgn",))
