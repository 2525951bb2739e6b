"""Figure 8: densities learned by Neural Hamiltonian Flow, and the dynamics that make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hgn_train.evaluation.density_figures import arrows, limits, smoothed
from hgn_train.evaluation.markdown import plus_minus, table
from hgn_train.paper import page
from hgn_train.paper.figure import Drawing, Figure, Material, Need, Run

SHOWN = (("circle", "paper"), ("circle", "small"), ("random", "small"), ("grid", "small"))
"""Density and preset of each row; of preset `paper` the flow follows one H, as in the paper."""

ARROWS, PATHS, POINTS, LEVELS = 40, 16, 400, 12


def draw(material: Material) -> Drawing:
    """One row per flow: target, samples, V, K, one leapfrog step, and the whole flow.

    Arguments:
        material: Of which the runs of NHF count.

    Returns:
        The figure.
    """
    runs = chosen(material)
    drawn = page.sheet(1.75 * len(runs) + 0.2)
    grid = drawn.subplots(len(runs), len(PANELS), squeeze=False)
    for line, (run, axes) in enumerate(zip(runs, grid, strict=True)):
        for axis, (name, panel) in zip(axes, PANELS.items(), strict=True):
            panel(axis, run.arrays)
            axis.set(xticks=[], yticks=[], box_aspect=1)
            axis.spines[:].set_visible(False)
            if line == 0:
                axis.set_title(name)
        axes[0].set_ylabel(f"{run.need.subject}, {run.need.preset}")
    caption = (
        "From left to right: Gaussian kernel estimates of the target and of samples of the flow, "
        "on the same colour scale; the learned potential V(q) and kinetic energy K(p), of the "
        "last Hamiltonian where the flow follows several; the last leapfrog step, arrows from "
        "positions before it to positions after it; the whole flow, paths of positions from the "
        "base (grey) to the data (coloured by the angle at which they start). V and K are in the "
        "units of the standardised data.\n\nMean log-density of test points in nats: of one "
        "Gaussian, of the flow (a lower bound), of the target itself, and of a neural spline flow "
        "with as many weights, trained as long:\n\n" + numbers(runs)
    )
    return Drawing(drawn, caption, runs)


def chosen(material: Material) -> list[Run]:
    """The runs of the rows; other flows of the plane where some of these are not there."""
    found = (material.find("nhf", *row) for row in SHOWN)
    runs = [run for run in found if run is not None]
    flat = [run for run in material.of("nhf") if run.results["dimension"] == 2]
    shown = {run.need.subject for run in runs}
    runs += [run for run in flat if run.need.subject not in shown]
    return runs[: len(SHOWN)]


def numbers(runs: Sequence[Run]) -> str:
    """Log-densities of test points as a table."""
    rows = []
    for run in runs:
        test, spline = run.results["splits"]["test"], run.results.get("spline_flow")
        best = plus_minus(test, "log_prob")
        cells = [run.need.subject, run.need.preset, f"{test['gaussian']:.3f}", best]
        cells.append(f"{test['true']:.3f}" if "true" in test else "–")
        gap = plus_minus(test, "gap", "gap_error") if "gap" in test else "–"
        cells += [gap, f"{spline['log_prob']:.3f}" if spline else "–"]
        rows.append(cells)
    head = ["density", "preset", "one Gaussian", "NHF, bound", "target", "gap"]
    return table([*head, "spline flow"], rows)


def target(axis: Any, arrays: Any) -> None:
    """Kernel estimate of the target."""
    _density(axis, arrays, "target")


def samples(axis: Any, arrays: Any) -> None:
    """Kernel estimate of the samples, on the colours of the target's."""
    _density(axis, arrays, "samples")


def _density(axis: Any, arrays: Any, name: str) -> None:
    low, high = limits(arrays["target"])
    values = smoothed(arrays[name], low, high)
    top = smoothed(arrays["target"], low, high).max()
    levels = np.linspace(0, top, 16)
    axis.contourf(values.T, levels, cmap="magma", extend="max", antialiased=False)


def potential(axis: Any, arrays: Any) -> None:
    """V of the last Hamiltonian."""
    _energy(axis, arrays["axis"], arrays["potential"][-1], "viridis")


def kinetic(axis: Any, arrays: Any) -> None:
    """K of the last Hamiltonian."""
    _energy(axis, arrays["axis"], arrays["kinetic"][-1], "cividis")


def _energy(axis: Any, places: np.ndarray, values: np.ndarray, colours: str) -> None:
    middle = abs(places) <= 2.6  # where the standardised data are
    field = places[middle], places[middle], values[np.ix_(middle, middle)].T
    axis.contourf(*field, LEVELS, cmap=colours)
    axis.contour(*field, LEVELS, colors="white", linewidths=0.5, linestyles="solid")


def step(axis: Any, arrays: Any) -> None:
    """The last leapfrog step of some positions."""
    arrows(axis, arrays["path_q"][:ARROWS, -2], arrays["path_q"][:ARROWS, -1])
    _fit(axis, arrays)


def flow(axis: Any, arrays: Any) -> None:
    """Paths of positions from the base to the data."""
    path = arrays["path_q"][:POINTS]
    direction = np.arctan2(path[:, 0, 1], path[:, 0, 0])
    for one in path[:PATHS]:
        axis.plot(*one.T, color=page.LEVEL, lw=0.5, zorder=0)
    axis.scatter(*path[:, 0].T, c=page.GREY, s=1, lw=0)
    axis.scatter(*path[:, -1].T, c=direction, cmap="twilight_shifted", s=4, lw=0)
    _fit(axis, arrays)


def _fit(axis: Any, arrays: Any) -> None:
    low, high = limits(arrays["target"])
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))


PANELS = {
    "target": target,
    "samples": samples,
    "V(q)": potential,
    "K(p)": kinetic,
    "one leapfrog step": step,
    "the flow": flow,
}


def needs(systems: Sequence[str]) -> list[Need]:
    """Each row."""
    return [Need("nhf", density, preset) for density, preset in SHOWN]


FIGURE = Figure(8, "flows", "Densities by Neural Hamiltonian Flow", draw, needs, ("nhf",))
