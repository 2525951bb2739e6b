"""What the states say: phase portraits over level sets of H, orbits, energies, distributions."""

from __future__ import annotations

import html

import numpy as np

from physim import drawing
from physim.dataset import Dataset
from physim.integrators import rollout
from physim.report import svg
from physim.report.contours import level_set
from physim.report.svg import Frame, number
from physim.systems.system import System

SAMPLE = 2000
"""Trajectories whose energies are looked at."""

GRID = (97, 73)
LEVELS = 14


def portraits(dataset: Dataset, split: str) -> str:
    """Phase portraits of systems with one degree of freedom, orbits of the others.

    Arguments:
        dataset: An open data set.
        split: A split that is not empty.

    Returns:
        HTML figures.
    """
    if dataset.system.dimension > 1:
        return _orbits(dataset, split)
    if _constants(dataset):
        return _one_portrait(dataset, split, 16)
    n = min(6, len(dataset.splits[split]))
    rows = dataset.splits[split].read(slice(0, n), ["q", "p"])
    params = dataset.params(split, slice(0, n))
    figures = []
    for k in range(n):
        plot = _portrait(
            dataset.system,
            rows["q"][k : k + 1],
            rows["p"][k : k + 1],
            params[k],
            f"trajectory {k}",
        )
        figures.append(_figure(plot, f"<b>{k}</b> {_parameter_words(dataset, params[k])}"))
    return f'<div class="grid three">{"".join(figures)}</div>'


def _one_portrait(dataset: Dataset, split: str, most: int) -> str:
    """Several trajectories of equal parameters over the same level sets."""
    n = min(most, len(dataset.splits[split]))
    rows = dataset.splits[split].read(slice(0, n), ["q", "p", "energy"])
    order = np.argsort(rows["energy"][:, 0])
    params = dataset.params(split, 0)
    q, p = rows["q"][order], rows["p"][order]
    plot = _portrait(dataset.system, q, p, params, f"{n} trajectories", wide=True)
    words = f"The first {n} trajectories, coloured by energy; a ring where each begins."
    return _figure(plot, f"{words} {_parameter_words(dataset, params)}", "wide")


def _portrait(
    system: System,
    q: np.ndarray,
    p: np.ndarray,
    params: np.ndarray,
    title: str,
    wide: bool = False,
) -> str:
    """Trajectories, (n, frames, 1), in the phase plane; an angle is shown from −π to π."""
    kind = system.coordinates.get("q", "")
    angle = "(rad)" in kind
    x = (-np.pi, np.pi) if angle else _symmetric(q)
    y = _symmetric(p)
    frame = Frame(x, y, 640 if wide else 340, 400 if wide else 270, angle=angle)
    parts = _levels(system, params, frame)
    for k in range(len(q)):
        turned = np.remainder(q[k, :, 0] + np.pi, 2 * np.pi) - np.pi if angle else q[k, :, 0]
        places = frame.places(turned, p[k, :, 0])
        jumps = np.flatnonzero(np.abs(np.diff(turned)) > np.pi) + 1 if angle else np.array([], int)
        hue = f"--part:{k / max(1, len(q) - 1):.3f}"
        for piece in np.split(places, jumps):
            parts.append(svg.line(piece, "orbit", hue))
        parts.append(svg.dots(places[1:], 1.6, "sample", hue))
        parts.append(svg.dots(places[:1], 4, "start", hue))
    momentum = system.coordinates.get("p", "").split(" (")[0]
    return frame.picture(
        parts,
        x_label=f"q, {kind}" if kind else "q",
        y_label=f"p, {momentum}" if momentum else "p",
        title=f"phase portrait of {title}",
    )


def _levels(system: System, params: np.ndarray, frame: Frame) -> list[str]:
    """Level sets of H, and the one through the saddle of a pendulum, if it is in sight."""
    columns, rows = np.linspace(*frame.x, GRID[0]), np.linspace(*frame.y, GRID[1])
    q, p = (np.ascontiguousarray(axis.reshape(1, -1, 1)) for axis in np.meshgrid(columns, rows))
    h = rollout.energy(system, q, p, params[None]).reshape(GRID[::-1])
    # equal steps of √(H − least), so that a harmonic oscillator shows equally spaced ellipses
    least = h.min()
    roots = np.linspace(0, np.sqrt(h.max() - least), LEVELS + 1)[1:-1]
    levels = [(float(level), "level") for level in least + roots**2]
    if frame.angle:
        levels.append((float(h[GRID[1] // 2, 0]) * (1 - 1e-6), "level saddle"))
    return [
        svg.line(frame.places(*points.T), kind)
        for level, kind in levels
        for points in level_set(columns, rows, h, level)
    ]


def _symmetric(values: np.ndarray) -> tuple[float, float]:
    """A range around zero, a fifth wider than the values."""
    edge = 1.2 * float(np.abs(values).max()) or 1.0
    return -edge, edge


def _orbits(dataset: Dataset, split: str) -> str:
    """Paths of the bodies in the plane, in the colours of the frames."""
    system, style = dataset.system, drawing.find(dataset.recipe.style)
    n = min(8, len(dataset.splits[split]))
    names = [name for name in ("q", "color") if name in dataset.splits[split]]
    rows = dataset.splits[split].read(slice(0, n), names)
    params = dataset.params(split, slice(0, n))
    xy = rollout.positions(system, rows["q"], params)
    edge = 1.15 * float(np.abs(xy).max())
    colours = np.repeat(style.colours(system.bodies)[None], n, axis=0)
    if "color" in rows:
        colours = drawing.palette.hue_wheel(dataset.recipe.colors)[rows["color"]]
    figures = []
    for k in range(n):
        parts = []
        for b in range(system.bodies):
            path = xy[k, :, 2 * b : 2 * b + 2] / (2 * edge)
            places = 100 * np.stack([0.5 + path[:, 0], 0.5 - path[:, 1]], axis=-1)
            colour = "rgb(" + " ".join(f"{255 * c:.0f}" for c in colours[k, b]) + ")"
            parts.append(svg.line(places, "path", f"stroke:{colour}"))
            parts.append(svg.dots(places[1:-1], 0.65, "sample", f"fill:{colour}"))
            parts.append(svg.dots(places[:1], 1.8, "begin", f"stroke:{colour}"))
            parts.append(svg.dots(places[-1:], 2.6, "end", f"fill:{colour}"))
        plot = svg.panel(parts, f"orbits of trajectory {k}", "orbits")
        words = _parameter_words(dataset, params[k])
        figures.append(_figure(plot, f"<b>{k}</b> {words}"))
    return f'<div class="grid four">{"".join(figures)}</div>'


def energies(dataset: Dataset, split: str) -> str:
    """Energy error along time, or, with friction, how the energy falls.

    Arguments:
        dataset: An open data set.
        split: A split that is not empty.

    Returns:
        An HTML figure.
    """
    n = min(SAMPLE, len(dataset.splits[split]))
    energy = dataset.splits[split].read(slice(0, n), ["energy"])["energy"]
    times = np.asarray(dataset.times)
    if len(times) < 2:
        return ""
    if dataset.recipe.friction:
        change = energy - energy[:, :1]
        low, middle, high = np.quantile(change, [0.05, 0.5, 0.95], axis=0)
        frame = Frame((times[0], times[-1]), svg.padded([low.min(), high.max()]))
        parts = [
            svg.band(frame, times, low, high, "band"),
            svg.line(frame.places(times, middle), "curve"),
        ]
        plot = frame.picture(parts, x_label="t", y_label="H − H₀", title="energy along time")
        return _figure(plot, f"Median of {n:,} trajectories, and nine of ten.")
    start = energy[:, :1]
    error = np.abs(energy / np.where(start == 0, 1, start) - (start != 0))[:, 1:]
    error = np.maximum(error, 1e-17)
    middle, worst = np.median(error, axis=0), error.max(axis=0)
    low = np.floor(np.log10(min(middle.min(), 1e-16)))
    high = max(low + 2, np.ceil(np.log10(worst.max()) + 0.2))
    frame = Frame((times[0], times[-1]), (low, high), log_y=True, left=58)
    parts = []
    epsilon = np.log10(np.finfo(float).eps)
    if low < epsilon < high:
        place = frame.places(times[[0, -1]], np.full(2, epsilon))
        parts.append(svg.line(place, "mark"))
        parts.append(
            f'<text class="note end" x="{place[1, 0]:.1f}" y="{place[1, 1] - 5:.1f}">ε</text>'
        )
    parts.append(svg.line(frame.places(times[1:], np.log10(worst)), "curve"))
    parts.append(svg.line(frame.places(times[1:], np.log10(middle)), "curve second"))
    plot = frame.picture(parts, x_label="t", y_label="|H/H₀ − 1|", title="energy error along time")
    return _figure(
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
        _figure(
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
        figures.append(_figure(plot, f"{name}{components}."))
    sentence = f"<p>The same for all: {'; '.join(fixed)}.</p>" if fixed else ""
    return f'<div class="grid three">{"".join(figures)}</div>{sentence}'


def _constants(dataset: Dataset) -> bool:
    """Whether no parameter varies."""
    return all(isinstance(value, int | float) for value in dataset.recipe.parameters.values())


def _parameter_words(dataset: Dataset, row: np.ndarray) -> str:
    """`m 0.53 · k 2.1`, from a row of parameters."""
    words = []
    for symbol, columns in dataset.system.columns.items():
        values = ", ".join(number(float(f"{value:.3g}")) for value in row[columns])
        words.append(f"{html.escape(symbol)}\N{NO-BREAK SPACE}{values}")
    return " · ".join(words)


def _figure(plot: str, caption: str, kind: str = "") -> str:
    attributes = f' class="{kind}"' if kind else ""
    return f"<figure{attributes}>{plot}<figcaption>{caption}</figcaption></figure>"
