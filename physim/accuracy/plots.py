"""The pictures of `docs/accuracy.md`. Needs matplotlib, the extra `plots`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from physim import integrators, systems
from physim.accuracy import conservation, studies
from physim.accuracy.report import all_systems, methods
from physim.accuracy.studies import States
from physim.errors import PhysimError


def draw(folder: Path, full: bool = False) -> Iterator[Path]:
    """Draw all pictures.

    Arguments:
        folder: Where to put `accuracy-*.png`; made if it is not there.
        full: Longer runs.

    Yields:
        The paths as they are written.

    Raises:
        PhysimError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        raise PhysimError("plots: matplotlib is missing; pip install 'physim[plots]'") from None
    folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update(
        {
            "font.size": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "savefig.dpi": 110,
            "axes.prop_cycle": plt.cycler(color=plt.get_cmap("tab20")(range(20))),
        }
    )
    pictures = {"orders": _orders, "energy": _energy, "area": _area, "cost": _cost}
    for name, picture in pictures.items():
        figure = picture(plt, full)
        path = folder / f"accuracy-{name}.png"
        figure.savefig(path)
        plt.close(figure)
        yield path


def _orders(plt: Any, full: bool) -> Any:
    """Error against step for every integrator and system."""
    known = all_systems()
    rows = -(-len(known) // 3)
    figure, axes = plt.subplots(
        rows, 3, figsize=(10, 3.3 * rows), layout="constrained", sharey=True
    )
    handles: dict[str, Any] = {}
    for axis, system in zip(axes.flat, known, strict=False):
        for method in methods(steps_only=True):
            if not method.fits(system, 0.0):
                continue
            found = studies.convergence(method, system)
            colour = f"C{list(integrators.INTEGRATORS).index(method.name)}"
            seen = found.errors > 1e-16
            (handles[method.name],) = axis.loglog(
                found.steps[seen], found.errors[seen], ".-", ms=3, lw=1, color=colour
            )
        axis.set_title(system.name)
        axis.set_ylim(1e-16, 10)
        axis.axhspan(1e-16, studies.ROUNDING, color="0.93", lw=0)
    for k, axis in enumerate(axes.flat):
        axis.set_visible(k < len(known))
        if k + 3 >= len(known):
            axis.set_xlabel("step")
    for axis in axes[:, 0]:
        axis.set_ylabel("largest error in a coordinate")
    labels = [f"{name} ({integrators.find(name).order})" for name in handles]
    figure.legend(handles.values(), labels, loc="outside right center", title="integrator (order)")
    return figure


def _energy(plt: Any, full: bool) -> Any:
    """Energy error along a run: bounded or drifting."""
    names = {"pendulum": 0.1, "two_body": 0.1, "double_pendulum": 0.02}
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained", sharey=True)
    steps = np.unique(np.round(np.logspace(0, 5 if full else 4, 60)).astype(int))
    handles: dict[str, Any] = {}
    for axis, (name, dt) in zip(axes, names.items(), strict=True):
        system = systems.find(name)
        states = studies.gentle(system)
        for method in methods(steps_only=True):
            if not method.fits(system, 0.0):
                continue
            errors = conservation.energy_errors(
                method, system, states, dt, tuple(int(step) for step in steps)
            )
            colour = f"C{list(integrators.INTEGRATORS).index(method.name)}"
            style = "-" if method.symplectic else "--"
            (handles[method.name],) = axis.loglog(
                steps, [errors[step] for step in steps], style, lw=1, color=colour
            )
        axis.set_title(f"{name}, step {dt}")
        axis.set_xlabel("steps")
        axis.set_ylim(1e-16, 10)
    axes[0].set_ylabel("worst |H/H₀ − 1| so far")
    figure.legend(
        handles.values(), handles, loc="outside right center", title="dashed: not symplectic"
    )
    return figure


def _area(plt: Any, full: bool) -> Any:
    """A blob in the phase space of the pendulum, under leapfrog and explicit Euler."""
    system = systems.find("pendulum")
    angle = np.linspace(0, 2 * np.pi, 401)[:, None]
    params = np.tile([0.5, 1.0, 3.0], (len(angle), 1))
    blob = States(params, 1.1 + 0.3 * np.cos(angle), 0.3 * np.sin(angle))
    times = 0.1 * np.arange(33)
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained", sharey=True)
    grid_q, grid_p = np.meshgrid(np.linspace(-2.6, 2.6, 200), np.linspace(-2.4, 2.4, 200))
    level = grid_p**2 + 3 * np.sin(grid_q / 2) ** 2
    for axis, name in zip(axes, ("leapfrog", "euler"), strict=True):
        q, p, _ = studies.trajectories(system, integrators.find(name), blob, times)
        axis.contour(grid_q, grid_p, level, 8, colors="0.85", linewidths=0.6)
        first = _enclosed(q[:, 0, 0], p[:, 0, 0])
        for t in range(0, 33, 8):
            ratio = _enclosed(q[:, t, 0], p[:, t, 0]) / first
            axis.fill(q[:, t, 0], p[:, t, 0], alpha=0.5, color=plt.get_cmap("viridis")(t / 32))
            middle = q[:, t, 0].mean(), p[:, t, 0].mean()
            axis.annotate(f"{ratio:.3f}", middle, ha="center", va="center", fontsize=7)
        axis.set_title(f"{name}: area over the first area, every 8 steps of 0.1")
        axis.set_xlabel("q")
        axis.set_xlim(-2.6, 2.6)
        axis.set_ylim(-2.4, 2.4)
    axes[0].set_ylabel("p")
    return figure


def _enclosed(x: np.ndarray, y: np.ndarray) -> float:
    """Area of a polygon."""
    return float(abs(np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:])) / 2)


def _cost(plt: Any, full: bool) -> Any:
    """Energy error of 30 frames against the time that they take."""
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained", sharey=True)
    handles: dict[str, Any] = {}
    n = 200 if full else 50
    for axis, name in zip(axes, ("pendulum", "three_body", "double_pendulum"), strict=True):
        system = systems.find(name)
        states = studies.drawn(system, n, paper=True)
        for method in methods():
            if not method.fits(system, 0.0) or method.name == "implicit_midpoint":
                continue
            single = method.exact
            counts = [1] if single else [1, 2, 4, 8, 16, 32, 64]
            found = [studies.cost(method, system, states, count) for count in counts]
            seen = [one for one in found if np.isfinite(one.energy) and one.energy < 10]
            colour = f"C{list(integrators.INTEGRATORS).index(method.name)}"
            (handles[method.name],) = axis.loglog(
                [one.microseconds for one in seen],
                [max(one.energy, 1e-16) for one in seen],
                "*" if single else ".-",
                ms=9 if single else 4,
                lw=1,
                color=colour,
            )
        axis.set_title(name)
        axis.set_xlabel("µs per trajectory of 30 frames, one core")
    axes[0].set_ylabel("worst |H/H₀ − 1|")
    figure.legend(handles.values(), handles, loc="outside right center")
    return figure
