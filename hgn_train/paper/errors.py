"""Figure 5: error of each frame of a rollout, on training and test data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hgn_train.evaluation.image_table import REPORTED
from hgn_train.evaluation.markdown import SYSTEMS, plus_minus, table
from hgn_train.paper import drawers, page
from hgn_train.paper.figure import Drawing, Figure, Material, Run

Runs = Mapping[str, Mapping[str, Run]]
"""By system, then by the name of the model."""

SPLITS = ("train", "test")
PAPER = "Toth et al. (2019), HGN, leapfrog, autoencoding"


def draw(material: Material) -> Drawing:
    """One panel per system with the error of each frame, and the errors of whole rollouts below.

    Arguments:
        material: Of which the runs of models that draw frames count.

    Returns:
        The figure.
    """
    every = {name: drawers.on(material, name) for name in material.systems}
    there = {name: runs for name, runs in every.items() if runs}
    drawn = page.sheet(5.4)
    halves: Any = drawn.subfigures(2, 1, height_ratios=[1.25, 1])
    upper, lower = halves
    axes = upper.subplots(1, len(there), sharey=True, squeeze=False)[0]
    for axis, (name, some) in zip(axes, there.items(), strict=True):
        per_frame(axis, some)
        axis.set(title=name, xlabel="frame")
        page.logarithmic(axis)
    axes[0].set_ylabel("pixel MSE × 1e4")
    upper.legend(*legend(axes), loc="outside lower center", ncols=7)
    whole(lower.subplots(1, 1), there)
    runs = [run for some in there.values() for run in some.values()]
    caption = (
        "Above: error of each frame of a rollout, averaged over training trajectories (dashed) "
        "and test trajectories (solid), beside that of the average training image (dotted), "
        "which a collapsed model draws. Shaded: the frames that HGN sees; it draws all frames "
        "from the state that it infers. Below: the mean over all frames, with the values that "
        "the paper reports for HGN with leapfrog; these were measured on different drawings of "
        "the same systems, so they are only roughly comparable."
    )
    caption += drawers.explained(runs) + "\n\n" + numbers(there)
    return Drawing(drawn, caption, runs)


def per_frame(axis: Any, runs: Mapping[str, Run]) -> None:
    """Curves of the runs on a system."""
    for label, run in runs.items():
        colour = drawers.COLOURS[label]
        for split, style in (("train", "--"), ("test", "-")):
            curve = 1e4 * np.array(run.results["splits"][split]["per_frame"])
            axis.plot(curve, ls=style, color=colour, label=f"{label}, {split}")
    first = next(iter(runs.values()))
    average = first.results["splits"]["test"]["per_frame_average_image"]
    axis.plot(1e4 * np.array(average), color=page.GREY, ls=":", label="average image")
    seen = first.settings["network"]["inference_frames"]
    if "HGN" in runs and seen < len(average):
        axis.axvspan(0, seen - 1, color=page.GREY, alpha=0.15, lw=0)


def whole(axis: Any, there: Runs) -> None:
    """Errors of whole rollouts, one group per system: training data paler, then test data."""
    models = [model for model in drawers.COLOURS if any(model in runs for runs in there.values())]
    slot = 0.8 / (len(models) + 1)
    for place, (name, runs) in enumerate(there.items()):
        for k, model in enumerate(models):
            if model in runs:
                left = place - 0.4 + k * slot
                pair(axis, left, 0.9 * slot / 2, model, runs[model])
        if name in SYSTEMS:
            reported = REPORTED[PAPER][SYSTEMS.index(name)]
            for value, split, share, face in zip(
                reported, SPLITS, (0.3, 0.7), ("white", page.INK), strict=True
            ):
                x = place - 0.4 + (len(models) + share) * slot
                label = f"HGN as reported, {split}"
                axis.plot(x, float(value), "D", ms=5, color=page.INK, mfc=face, label=label)
        average = 1e4 * next(iter(runs.values())).results["splits"]["test"]["average_image"]
        line = [place - 0.42, place + 0.42], [average] * 2
        axis.plot(*line, ":", color=page.GREY, label="average image")
    axis.set_ylabel("pixel MSE × 1e4")
    page.logarithmic(axis)
    axis.set_xticks(range(len(there)), list(there))
    axis.set_xlim(-0.5, len(there) - 0.5)
    axis.tick_params(axis="x", length=0)
    axis.figure.legend(*legend([axis]), loc="outside right center")


def pair(axis: Any, left: float, width: float, label: str, run: Run) -> None:
    """Two bars, training and test, with their standard errors."""
    colour = drawers.COLOURS[label]
    for k, split in enumerate(SPLITS):
        part = run.results["splits"][split]
        value, spread = 1e4 * part["error"], 1e4 * part["standard_error"]
        x = left + (k + 0.5) * width
        alpha = (0.45, 1.0)[k]
        axis.bar(x, value, 0.9 * width, color=colour, alpha=alpha, label=f"{label}, {split}")
        axis.errorbar(x, value, spread, color=page.INK, lw=1)


def legend(axes: Iterable[Any]) -> tuple[list[Any], list[str]]:
    """Each label once."""
    entries: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    return list(entries.values()), list(entries)


def numbers(there: Runs) -> str:
    """The errors as a table."""
    rows = []
    every = [(system, *pair) for system, runs in there.items() for pair in runs.items()]
    for system, model, run in every:
        parts = [run.results["splits"][split] for split in SPLITS]
        errors = [plus_minus(part, form=".2f", scale=1e4) for part in parts]
        average = f"{1e4 * parts[1]['average_image']:.2f}"
        share = f"{parts[1]['share_explained']:.3f}"
        known = model == "HGN" and system in SYSTEMS
        reported = " / ".join(REPORTED[PAPER][SYSTEMS.index(system)]) if known else "–"
        rows.append([system, model, *errors, average, share, reported])
    head = ["system", "model", "train", "test", "average image", "share explained, test"]
    return table([*head, "reported, train / test"], rows)


FIGURE = Figure(5, "errors", "Error of each frame", draw, drawers.needs, ("hgn",))
