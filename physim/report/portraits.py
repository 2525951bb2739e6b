"""Trajectories in phase space over the level sets of H, and orbits in the plane."""

from __future__ import annotations

import numpy as np

from physim import drawing
from physim.dataset import Dataset
from physim.integrators import rollout
from physim.report import svg
from physim.report.captions import figure, parameter_words
from physim.report.contours import level_set
from physim.report.svg import Frame, number
from physim.systems.positions import positions
from physim.systems.system import System

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
        reducible = dataset.system.name == "two_body" and not dataset.recipe.friction
        return _orbits(dataset, split) + (_radial_portraits(dataset, split) if reducible else "")
    if _constants(dataset):
        return _one_portrait(dataset, split, 16)
    n = min(6, len(dataset.split(split)))
    rows = dataset.split(split).read(slice(0, n), ["q", "p"])
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
        figures.append(figure(plot, f"<b>{k}</b> {parameter_words(dataset, params[k])}"))
    return f'<div class="grid three">{"".join(figures)}</div>'


def _one_portrait(dataset: Dataset, split: str, most: int) -> str:
    """Several trajectories of equal parameters over the same level sets."""
    n = min(most, len(dataset.split(split)))
    rows = dataset.split(split).read(slice(0, n), ["q", "p", "energy"])
    order = np.argsort(rows["energy"][:, 0])
    params = dataset.params(split, 0)
    q, p = rows["q"][order], rows["p"][order]
    plot = _portrait(dataset.system, q, p, params, f"{n} trajectories", wide=True)
    words = f"The first {n} trajectories, coloured by energy; a ring where each begins."
    return figure(plot, f"{words} {parameter_words(dataset, params)}", "wide")


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
    saddle = float(h[GRID[1] // 2, 0]) * (1 - 1e-6) if frame.angle else None
    return _contours(frame, h, float(h.max()), saddle)


def _contours(
    frame: Frame, h: np.ndarray, highest: float, saddle: float | None = None
) -> list[str]:
    """Lines of equal H, given on the grid of the frame, up to the highest."""
    # equal steps of √(H − least), so that a harmonic oscillator shows equally spaced ellipses
    least = h.min()
    roots = np.linspace(0, np.sqrt(highest - least), LEVELS + 1)[1:-1]
    levels = [(float(level), "level") for level in least + roots**2]
    if saddle is not None:
        levels.append((saddle, "level saddle"))
    columns, rows = np.linspace(*frame.x, GRID[0]), np.linspace(*frame.y, GRID[1])
    return [
        svg.line(frame.places(*points.T), kind)
        for level, kind in levels
        for points in level_set(columns, rows, h, level)
    ]


def _radial_portraits(dataset: Dataset, split: str) -> str:
    """Two bodies in the plane of distance and radial momentum, at their own angular momentum."""
    n = min(3, len(dataset.split(split)))
    rows = dataset.split(split).read(slice(0, n), ["q", "p"])
    params = dataset.params(split, slice(0, n))
    figures = []
    for k in range(n):
        r, radial, angular = radial_motion(rows["q"][k], rows["p"][k], params[k])
        x, y = svg.padded(r, 0.35), svg.padded([-np.abs(radial).max(), np.abs(radial).max()], 0.35)
        frame = Frame((max(x[0], 0.3 * float(r.min())), x[1]), y, 340, 270)
        columns, lines = np.linspace(*frame.x, GRID[0]), np.linspace(*frame.y, GRID[1])[:, None]
        h = radial_energy(columns, lines, angular, params[k])
        places = frame.places(r, radial)
        parts = _contours(frame, h, float(h.max()))
        parts += [svg.line(places, "orbit"), svg.dots(places[1:], 1.6, "sample")]
        parts.append(svg.dots(places[:1], 4, "start"))
        plot = frame.picture(
            parts,
            x_label="r, distance (length)",
            y_label="p_r, radial momentum",
            title=f"radial phase portrait of trajectory {k}",
        )
        words = f"<b>{k}</b> L\N{NO-BREAK SPACE}{number(float(f'{angular:.3g}'))}"
        figures.append(figure(plot, f"{words} · {parameter_words(dataset, params[k])}"))
    return (
        "<h3>Distance and radial momentum</h3>"
        '<p class="lede">At its own angular momentum L, the motion of two bodies about each other '
        "has one degree of freedom; here over the level sets of H.</p>"
        f'<div class="grid three">{"".join(figures)}</div>'
    )


def _symmetric(values: np.ndarray) -> tuple[float, float]:
    """A range around zero, a fifth wider than the values."""
    edge = 1.2 * float(np.abs(values).max()) or 1.0
    return -edge, edge


def radial_motion(
    q: np.ndarray, p: np.ndarray, params: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """The motion of two bodies about each other.

    Arguments:
        q: Positions, (frames, 4).
        p: Momenta, (frames, 4).
        params: Both masses and G, (3,).

    Returns:
        Distance, (frames,), its momentum, (frames,), and the angular momentum, which is conserved.
    """
    first, second, _ = params
    apart = q[:, 2:] - q[:, :2]
    momentum = first * second / (first + second) * (p[:, 2:] / second - p[:, :2] / first)
    r = np.hypot(apart[:, 0], apart[:, 1])
    angular = float(apart[0, 0] * momentum[0, 1] - apart[0, 1] * momentum[0, 0])
    return r, (apart * momentum).sum(axis=1) / r, angular


def radial_energy(
    r: np.ndarray, radial: np.ndarray, angular: float, params: np.ndarray
) -> np.ndarray:
    """H of that motion, p_r²/(2μ) + L²/(2μ r²) − G m₁ m₂/r with the reduced mass μ.

    Arguments:
        r: Distance.
        radial: Its momentum.
        angular: Angular momentum L.
        params: Both masses and G, (3,).

    Returns:
        Energies, in the shape of `r` and `radial` together.
    """
    first, second, gravity = params
    mass = first * second / (first + second)
    centrifugal = angular**2 / (2 * mass * r**2)
    return radial**2 / (2 * mass) + centrifugal - gravity * first * second / r


def _orbits(dataset: Dataset, split: str) -> str:
    """Paths of the bodies in the plane, in the colours of the frames."""
    system, style = dataset.system, drawing.find(dataset.recipe.style)
    n = min(8, len(dataset.split(split)))
    names = [name for name in ("q", "color") if name in dataset.split(split)]
    rows = dataset.split(split).read(slice(0, n), names)
    params = dataset.params(split, slice(0, n))
    xy = positions(system, rows["q"], params)
    edge = 1.15 * float(np.abs(xy).max())
    side = drawing.canvas.box_side(system, params)
    reach = np.inf if side is None else side / 2 / (2 * edge)
    colours = np.repeat(style.colours(system.bodies)[None], n, axis=0)
    if "color" in rows:
        colours = drawing.palette.hue_wheel(dataset.recipe.colors)[rows["color"]]
    figures = []
    for k in range(n):
        parts = []
        for b in range(system.bodies):
            path = xy[k, :, 2 * b : 2 * b + 2] / (2 * edge)
            places = 100 * np.stack([0.5 + path[:, 0], 0.5 - path[:, 1]], axis=-1)
            # where a body leaves a periodic box, it enters it on the other side
            jumps = np.flatnonzero((np.abs(np.diff(path, axis=0)) > reach).any(axis=1)) + 1
            colour = "rgb(" + " ".join(f"{255 * c:.0f}" for c in colours[k, b]) + ")"
            for piece in np.split(places, jumps):
                parts.append(svg.line(piece, "path", f"stroke:{colour}"))
            parts.append(svg.dots(places[1:-1], 0.65, "sample", f"fill:{colour}"))
            parts.append(svg.dots(places[:1], 1.8, "begin", f"stroke:{colour}"))
            parts.append(svg.dots(places[-1:], 2.6, "end", f"fill:{colour}"))
        plot = svg.panel(parts, f"orbits of trajectory {k}", "orbits")
        words = parameter_words(dataset, params[k])
        figures.append(figure(plot, f"<b>{k}</b> {words}"))
    return f'<div class="grid four">{"".join(figures)}</div>'


def _constants(dataset: Dataset) -> bool:
    """Whether no parameter varies."""
    return all(isinstance(value, int | float) for value in dataset.recipe.parameters.values())
