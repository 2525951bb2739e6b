"""Figure 4: the systems, as level sets of their Hamiltonian and as frames."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import physim
from hgn_train.data import is_there
from hgn_train.paper import page
from hgn_train.paper.figure import Drawing, Figure, Material
from physim.errors import PhysimError

SHOWN = (0, 1)
"""Numbers of the trajectories whose frames are shown."""

Plane = tuple[np.ndarray, np.ndarray]
State = Callable[[float, float], Plane]


def draw(material: Material) -> Drawing:
    """One row per system: level sets with trajectories on them, and what the data shows of them.

    Arguments:
        material: Of which the data and the systems count.

    Returns:
        The figure.
    """
    names = material.systems
    drawn = page.sheet(2.2 * len(names))
    grid = drawn.subplots(len(names), 2, width_ratios=[1, 3.1], squeeze=False)
    described: dict[str, list[str]] = {}
    for name, axes in zip(names, grid, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            data = opened(material.data / name, name, Path(folder))
            level_sets(axes[0], data)
            recipe = data.recipe
            facts = (
                f"seed {recipe.seed}, {recipe.dt:g} units of time between frames, "
                f"{recipe.resolution}×{recipe.resolution} pixels, noise {recipe.noise:g}"
            )
            described.setdefault(facts, []).append(f"`{recipe.name or recipe.system}`")
            strips = [np.asarray(data.train.image[k : k + 1])[0] for k in SHOWN]
        axes[0].set_title(name, loc="left")
        page.frames(axes[1], strips, [f"trajectory {k}" for k in SHOWN], 10)
    caption = (
        "Left: level sets of the true Hamiltonian, with stored states of data set trajectories "
        "on them (dots). For the bodies, the plane shows motions that remain a regular polygon: "
        "r is the distance of a body from the centre, p_r its radial momentum, at the angular "
        "momentum of the circular orbit at the middle of the radius range; the dots are "
        "simulated from such states. Shaded: the initial states of the data (for the bodies: "
        "their radii). Right: ten frames each of the first two training trajectories. The data "
        "sets are the recipes "
        + "; ".join(f"{', '.join(same)}, {facts}" for facts, same in described.items())
        + "."
    )
    return Drawing(drawn, caption)


def opened(folder: Path, name: str, spare: Path) -> Any:
    """The data set, or its first trajectories made again: they depend on nothing else.

    Arguments:
        folder: Where the data set is, if it is there.
        name: Of the system.
        spare: Where to render to if it is not.

    Returns:
        An open data set.
    """
    if is_there(folder):
        return physim.open(folder)
    physim.render(f"hgn/{name}", spare / name, n=16, n_test=1)
    return physim.open(spare / name)


def level_sets(axis: Any, data: Any) -> None:
    """Level sets of H in a plane of phase space, and trajectories that stay on them."""
    system, radius = data.system, radii(data)
    params = shared_params(data)
    state: State
    if system.dimension == 1:
        turns = system.coordinates.get("q", "").startswith("angle")
        reach = np.pi if turns else 1.35 * radius[1]
        grid = np.linspace(-reach, reach, 121), 1.2 * np.linspace(-radius[1], radius[1], 121)

        state = alone
        q, p = (np.asarray(getattr(data.train, name)[:6])[..., 0] for name in "qp")
        if turns:
            q = (q + np.pi) % (2 * np.pi) - np.pi
        circle = np.linspace(0, 2 * np.pi, 100)
        outer, inner = (edge * np.array([np.cos(circle), np.sin(circle)]) for edge in radius[::-1])
        axis.fill(*np.concatenate([outer, inner[:, ::-1]], 1), color=page.ORANGE, alpha=0.15, lw=0)
        axis.set(xlabel="q", ylabel="p")
    else:
        state, turn = breathing(system.dimension // 2, float(np.mean(radius)))
        grid = np.linspace(0.5 * radius[0], 1.5 * radius[1], 121), np.linspace(-0.55, 0.55, 121)
        starts = [(float(np.mean(radius)), p) for p in (-0.08, -0.2, -0.3)]
        both = [state(*start) for start in starts]
        q0, p0 = (np.array([one[k] for one in both]) for k in (0, 1))
        times = data.recipe.dt * np.arange(data.recipe.frames)
        q, p = turn(*physim.simulate(system, q0, p0, params, times))
        axis.axvspan(*radius, color=page.ORANGE, alpha=0.15, lw=0)
        axis.set(xlabel="r", ylabel="p_r")
    energy = np.array(
        [[system.hamiltonian(*state(x, y), params) for x in grid[0]] for y in grid[1]]
    )
    low, high = energy.min(), np.quantile(energy, 0.95)
    # denser near the minimum, where most of the motion is
    levels = low + (high - low) * np.linspace(0.02, 1, 12) ** 1.5
    axis.contour(*grid, energy, levels, colors=page.LEVEL, linewidths=0.8, linestyles="solid")
    for one, (xs, ys) in enumerate(zip(q, p, strict=True)):
        axis.plot(xs, ys, ".", ms=2.5, color=(page.BLUE, page.GREEN, page.PURPLE)[one % 3])
    axis.set_xlim(grid[0][0], grid[0][-1])
    axis.set_ylim(grid[1][0], grid[1][-1])


def radii(data: Any) -> tuple[float, float]:
    """Least and largest radius of the initial states.

    Raises:
        PhysimError: They are not drawn by their radius.
    """
    given = data.recipe.initial.get("radius")
    edges = np.ravel(list(given.values()) if isinstance(given, Mapping) else given)
    if given is None:
        raise PhysimError(
            f"{data.path}: its initial states are not drawn by their radius, which figure 4 "
            "shows; expected those of a recipe hgn/*"
        )
    return float(edges.min()), float(edges.max())


def shared_params(data: Any) -> np.ndarray:
    """Parameters of the trajectories that are shown, (n_params,).

    Raises:
        PhysimError: They differ, so that each has level sets of its own, or are those of bodies
            that are unlike.
    """
    rows = np.asarray(data.params("train", slice(0, 6)))
    many = data.system.dimension > 1
    if (rows != rows[0]).any() or (many and (rows != 1).any()):
        raise PhysimError(
            f"{data.path}: figure 4 shows level sets of one H, expected the same parameters of "
            "all trajectories, and masses and G of 1 where there are several bodies"
        )
    return rows[0]


def alone(q: float, p: float) -> Plane:
    """The state of a system of one degree of freedom, (1,) each."""
    return np.array([q]), np.array([p])


def breathing(bodies: int, middle: float) -> tuple[State, Callable[..., Plane]]:
    """Motions in which equal bodies of mass 1 stay the corners of a regular polygon.

    Arguments:
        bodies: How many, G = 1.
        middle: Radius of the circular orbit whose angular momentum all of them have.

    Returns:
        From a radius and a radial momentum to (q, p) of all bodies; and from q and p,
        (..., 2 × bodies), to radius and radial momentum.
    """
    angle = 2 * np.pi * np.arange(bodies) / bodies
    out = np.stack([np.cos(angle), np.sin(angle)], 1)
    around = np.stack([-out[:, 1], out[:, 0]], 1)
    pull = np.sum(1 / np.sin(np.pi * np.arange(1, bodies) / bodies)) / 4
    momentum = np.sqrt(pull * middle)  # r times the speed √(pull / r) of the circular orbit

    def state(r: float, p_r: float) -> Plane:
        return (r * out).ravel(), (p_r * out + momentum / r * around).ravel()

    def radial(q: np.ndarray, p: np.ndarray) -> Plane:
        r = np.linalg.norm(q[..., :2], axis=-1)
        return r, (q[..., :2] * p[..., :2]).sum(-1) / r

    return state, radial


FIGURE = Figure(
    4, "systems", "The systems: level sets of H and sample frames", draw, shows_data=True
)
