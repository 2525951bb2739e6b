"""Energies along time, and how parameters and initial energies are distributed."""

from __future__ import annotations

import html

import numpy as np

from physim.dataset import Dataset
from physim.integrators import rollout
from physim.report import svg
from physim.report.captions import figure
from physim.report.svg import Frame, number

SAMPLE = 2000
"""Trajectories whose energies are looked at."""


def energies(dataset: Dataset, split: str) -> str:
    """Energy error along time, or, with friction, how the energy falls.

    Arguments:
        dataset: An open data set.
        split: A split that is not empty.

    Returns:
        An HTML figure.
    """
    n = min(SAMPLE, len(dataset.split(split)))
    energy = dataset.split(split).read(slice(0, n), ["energy"])["energy"]
    times = np.asarray(dataset.times)
    if len(times) < 2:
        return ""
    span = float(times.min()), float(times.max())  # falling times where frames run backward
    if dataset.recipe.friction:
        change = energy - energy[:, :1]
        low, middle, high = np.quantile(change, [0.05, 0.5, 0.95], axis=0)
        frame = Frame(span, svg.padded([low.min(), high.max()]))
        parts = [
            svg.band(frame, times, low, high, "band"),
            svg.line(frame.places(times, middle), "curve"),
        ]
        plot = frame.picture(parts, x_label="t", y_label="H − H₀", title="energy along time")
        return figure(plot, f"Median of {n:,} trajectories, and nine of ten.")
    error = np.maximum(rollout.energy_error(energy)[:, 1:], 1e-17)
    middle, worst = np.median(error, axis=0), error.max(axis=0)
    low = np.floor(np.log10(min(middle.min(), 1e-16)))
    high = max(low + 2, np.ceil(np.log10(worst.max()) + 0.2))
    frame = Frame(span, (low, high), log_y=True)
    parts = []
    epsilon = np.log10(np.finfo(float).eps)
    if low < epsilon < high:
        place = frame.places(np.array(span), np.full(2, epsilon))
        parts.append(svg.line(place, "mark"))
        parts.append(
            f'<text class="note" x="{place[0, 0] + 5:.1f}" y="{place[0, 1] - 5:.1f}">ε</text>'
        )
    parts.append(svg.line(frame.places(times[1:], np.log10(worst)), "curve"))
    parts.append(svg.line(frame.places(times[1:], np.log10(middle)), "curve second"))
    plot = frame.picture(parts, x_label="t", y_label="|H/H₀ − 1|", title="energy error along time")
    return figure(
        plot,
        f'<i class="key"></i> worst and <i class="key second"></i> median of {n:,} trajectories. '
        "ε is the spacing of double precision at 1.",
    )


def distributions(dataset: Dataset) -> str:
    """Histograms of initial energies and of the parameters that vary.

    Arguments:
        dataset: An open data set.

    Returns:
        HTML figures, and a sentence about what does not vary.
    """
    filled = {name: split for name, split in dataset.splits.items() if len(split)}
    start = np.concatenate(
        [split.read(slice(0, SAMPLE), ["energy"])["energy"][:, 0] for split in filled.values()]
    )
    figures = [
        figure(
            svg.histogram(start, x_label="H at t = 0", title="initial energies"),
            f"Initial energy of {len(start):,} trajectories.",
        )
    ]
    fixed = []
    for parameter in dataset.system.parameters:
        symbol = parameter.symbol
        values = np.concatenate(
            [np.ravel(split.read(slice(None), [symbol])[symbol]) for split in filled.values()]
        )
        name = html.escape(f"{symbol}, {parameter.meaning}")
        if values.min() == values.max():
            fixed.append(f"{name} = {number(float(values[0]))}")
            continue
        components = (
            f", {parameter.components} of each trajectory" if parameter.components > 1 else ""
        )
        plot = svg.histogram(values, x_label=symbol, title=f"distribution of {symbol}")
        figures.append(figure(plot, f"{name}{components}."))
    sentence = f"<p>The same for all: {'; '.join(fixed)}.</p>" if fixed else ""
    return f'<div class="grid three">{"".join(figures)}</div>{sentence}'
