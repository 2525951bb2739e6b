"""Pictures of a judged flow: target and samples, energies, one step, the whole flow (Figure 8)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hgn_train import log
from hgn_train.figures import BLUE, GREY, ORANGE, as_png, sheet

Arrays = Mapping[str, np.ndarray]
CELLS = 128
SHOWN = 8
"""Moments of the flow in a row, at most."""


def smoothed(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Gaussian kernel estimate of a density on CELLS cells an axis.

    The width follows Silverman's rule with the spread of a quarter of the points, so that the
    modes of a mixture are not washed out.

    Arguments:
        points: (n, 1) or (n, 2).
        low: Lower corner.
        high: Upper corner.

    Returns:
        (cells,) or (cells, cells), the first axis first.
    """
    from scipy.ndimage import gaussian_filter

    size = points.shape[1]
    ranges = list(zip(low, high, strict=True))
    counts, _ = np.histogramdd(points, CELLS, ranges, density=True)
    cell = (np.asarray(high) - np.asarray(low)) / CELLS
    width = 0.25 * points.std(0) * (len(points) * (size + 2) / 4) ** (-1 / (size + 4))
    return gaussian_filter(counts, width / cell)


def density(arrays: Arrays) -> bytes:
    """Kernel estimates of target and samples, and the learned log-density."""
    target, samples = arrays["target"][:, :2], arrays["samples"][:, :2]
    low, high = limits(target)
    if target.shape[1] == 1:
        figure, (axis,) = sheet(1)
        place = np.linspace(float(low[0]), float(high[0]), CELLS)
        axis.fill_between(
            place, smoothed(target, low, high), color=GREY, alpha=0.4, lw=0, label="target"
        )
        axis.plot(place, smoothed(samples, low, high), color=ORANGE, label="samples")
        learned = np.exp(arrays["log_density"])
        place = np.linspace(float(low[0]), float(high[0]), len(learned))
        axis.plot(place, learned, color=BLUE, label="bound")
        axis.set(xlabel="q", ylabel="density")
        axis.legend(frameon=False, fontsize=8)
        return as_png(figure)
    shown = "log_density" in arrays
    figure, axes = sheet(3 if shown else 2, 3.4, 3.4)
    box = (low[0], high[0], low[1], high[1])
    both = [smoothed(some, low, high) for some in (target, samples)]
    for axis, values, name in zip(axes, both, ("target", "samples of the flow"), strict=False):
        axis.imshow(
            values.T, origin="lower", extent=box, aspect="auto", cmap="magma", vmax=both[0].max()
        )
        axis.set_title(name, fontsize=10)
    if shown:
        values = arrays["log_density"]
        box = tuple(arrays["edges"].T.ravel())
        image = axes[2].imshow(
            values.T,
            origin="lower",
            extent=box,
            aspect="auto",
            cmap="viridis",
            vmin=values.max() - 10,
        )
        figure.colorbar(image, ax=axes[2], shrink=0.8)
        axes[2].set_title("learned log-density (bound)", fontsize=10)
    for axis in axes:
        axis.set(xlabel="q₁", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    axes[0].set_ylabel("q₂")
    return as_png(figure)


def energies(arrays: Arrays) -> bytes:
    """V(q) above and K(p) below, of each Hamiltonian along the flow."""
    from matplotlib.figure import Figure

    axis_values, rows = arrays["axis"], (arrays["potential"], arrays["kinetic"])
    shown = picked(len(rows[0]), 4)
    figure = Figure(figsize=(max(2.1 * len(shown), 5), 4.6), layout="constrained")
    for line, (values, name, colours) in enumerate(
        zip(rows, ("V(q)", "K(p)"), ("viridis", "cividis"), strict=True)
    ):
        for column, stage in enumerate(shown):
            axis = figure.add_subplot(2, len(shown), line * len(shown) + column + 1)
            field = values[stage] - values[stage].min()
            if field.ndim == 1:
                axis.plot(axis_values, field, color=BLUE)
            else:
                middle = np.abs(axis_values) <= 2.6  # where the standardised data are
                energy(axis, axis_values[middle], field[np.ix_(middle, middle)], colours)
            number = f" {stage + 1}" if len(rows[0]) > 1 else ""
            axis.set_title(f"{name}{number}", fontsize=9)
            axis.tick_params(labelsize=7)
    return as_png(figure)


def energy(axis: Any, places: np.ndarray, values: np.ndarray, colours: str) -> None:
    """An energy over the plane, with level sets.

    Arguments:
        axis: Where to draw.
        places: Along both axes of the plane, (n,).
        values: (n, n), the first axis of the plane first.
        colours: Name of a colour map.
    """
    from matplotlib.colors import PowerNorm

    low, high = float(values.min()), float(values.max())
    levels = low + (high - low) * np.linspace(0, 1, 17) ** 2  # dense in the wells
    axis.contourf(places, places, values.T, levels, cmap=colours, norm=PowerNorm(0.5, low, high))
    axis.contour(places, places, values.T, levels, colors="white", linewidths=0.4)
    axis.set_aspect("equal")


def arrows(axis: Any, start: np.ndarray, end: np.ndarray) -> None:
    """Arrows from points of the plane to others, (n, 2) each."""
    axis.quiver(
        *start.T, *(end - start).T, angles="xy", scale_units="xy", scale=1, color=BLUE,
        width=0.004,
    )  # fmt: skip
    axis.plot(*end.T, ".", color=ORANGE, ms=2)


def single_step(arrays: Arrays, step: int) -> bytes:
    """Where one step carries points of the base: arrows of q, and of p.

    Arguments:
        arrays: What the evaluation kept.
        step: Which one, from 0.

    Returns:
        PNG bytes.
    """
    figure, axes = sheet(2, 3.8, 4.1)
    for axis, name in zip(axes, ("q", "p"), strict=True):
        path = arrays[f"path_{name}"][:150]
        start, end = path[:, step], path[:, step + 1]
        if start.shape[1] == 1:
            axis.plot(start[:, 0], (end - start)[:, 0], ".", color=BLUE, ms=3)
            axis.set(xlabel=f"{name} before", ylabel=f"change of {name}")
        else:
            arrows(axis, start[:, :2], end[:, :2])
            around = np.concatenate([start[:, :2], end[:, :2]])
            middle = (around.min(0) + around.max(0)) / 2
            reach = 1.05 * np.ptp(around, 0).max() / 2  # a square, as the panels are
            axis.set(xlim=middle[0] + np.array([-reach, reach]))
            axis.set(ylim=middle[1] + np.array([-reach, reach]))
            axis.set(xlabel=f"{name}₁", ylabel=f"{name}₂", box_aspect=1)
        axis.set_title(f"step {step + 1}: {name}", fontsize=10)
    return as_png(figure)


def flow(arrays: Arrays) -> bytes:
    """The positions of samples from the base to the data, coloured by where they start."""
    path = arrays["path_q"][:1200]
    shown = picked(path.shape[1])
    figure, axes = sheet(len(shown), 1.9, 2.2)
    start = path[:, 0]
    colour = np.arctan2(start[:, -1], start[:, 0]) if path.shape[-1] > 1 else start[:, 0]
    for axis, time in zip(axes, shown, strict=True):
        if path.shape[-1] == 1:
            axis.hist(path[:, time, 0], 60, color=BLUE)
        else:
            points = path[:, time, :2]
            axis.scatter(*points.T, c=colour, cmap="twilight_shifted", s=1.5, lw=0)
            low, high = limits(points)
            axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
            axis.set_xlabel(f"{high[0] - low[0]:.1f} wide", fontsize=7)
        name = {0: "base", path.shape[1] - 1: "data"}.get(time, f"after step {time}")
        axis.set_title(name, fontsize=9)
        axis.set(xticks=[], yticks=[])
    return as_png(figure)


def training(run: Path, gaussian: float, true: float | None) -> bytes:
    """The bound while training, and on held-out points."""
    lines = log.lines(run)
    figure, (axis,) = sheet(1)
    fit = [(line["step"], -line["loss"]) for line in lines if "loss" in line]
    held_out = [(line["step"], -line["held_out_error"]) for line in lines if "loss" not in line]
    axis.plot(*np.array(fit).T, color=ORANGE, lw=0.8, label="training")
    if held_out:
        axis.plot(*np.array(held_out).T, color=BLUE, marker="o", ms=3, label="held out")
    axis.axhline(gaussian, color=GREY, ls=":", label="one Gaussian")
    if true is not None:
        axis.axhline(true, color="black", lw=0.8, label="the target's")
    top = max([value for _, value in fit] + [true if true is not None else gaussian])
    axis.set(xlabel="step", ylabel="bound, nats per point", ylim=(top - 3, top + 0.2))
    axis.legend(frameon=False, fontsize=8)
    return as_png(figure)


def picked(n: int, most: int = SHOWN) -> list[int]:
    """Some of the numbers from 0 to n − 1, the first and the last among them."""
    return sorted({int(i) for i in np.linspace(0, n - 1, min(n, most)).round()})


def limits(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The box of nearly all points, a tenth wider on each side."""
    low, high = (np.quantile(points, share, 0) for share in (0.001, 0.999))
    return low - 0.1 * (high - low), high + 0.1 * (high - low)
