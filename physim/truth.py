"""The simulator's continuation of stored trajectories to times that are not stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from physim import drawing, integrators
from physim.drawing import canvas, palette
from physim.errors import RecipeError, SimulationError
from physim.recipe import Recipe
from physim.simulation import simulate
from physim.systems.positions import positions
from physim.systems.rows import numbers
from physim.systems.system import System

Solved = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From states at time 0, (n, d), and times, (T,), to states, (n, T, d)."""

FARTHEST = 10_000_000
"""Frames between time 0 and a time that is asked for, at most."""

_ROOM = 1 << 22
"""Coordinates of all trajectories that are kept at a time on the way from frame to frame."""


def states_at(
    recipe: Recipe, q0: np.ndarray, p0: np.ndarray, params: np.ndarray, times: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """States at given times, with the integrator and the friction of a recipe.

    Arguments:
        recipe: Of the data set.
        q0: Positions at time 0, (n, d).
        p0: Momenta at time 0, (n, d).
        params: (n, n_params).
        times: (T,), in any order; negative ones are reached backward from time 0. Whichever are
            asked for, the motion is that of the data: an integrator that takes steps goes from
            frame to frame, in `substeps` steps if they are fixed, and from the last frame before
            a time in between to that time.

    Returns:
        (q, p), each (n, T, d).

    Raises:
        RecipeError: The times are not numbers, or not in one row.
        SimulationError: A trajectory cannot be followed that far.
    """
    wanted = np.atleast_1d(numbers("times", times))
    if not len(q0) or wanted.shape == (0,):
        return (np.empty((len(q0), wanted.size, q0.shape[1])),) * 2
    method = integrators.find(recipe.integrator)

    def solved(q: np.ndarray, p: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return simulate(
            recipe.find_system(), q, p, params, at, integrator=recipe.integrator,
            friction=recipe.friction, substeps=recipe.substeps if method.advance else 1,
        )  # fmt: skip

    if method.advance is None or wanted.ndim != 1 or not np.isfinite(wanted).all():
        return solved(q0, p0, wanted)  # which refuses what are no times
    return _by_frames(solved, method.adaptive, recipe.dt, q0, p0, wanted)


def _by_frames(
    solved: Solved, adaptive: bool, dt: float, q0: np.ndarray, p0: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """States at times, (n, T, d) each, of a method that takes steps between frames."""
    frame = times / dt
    if (far := np.abs(frame).max()) > FARTHEST:
        raise SimulationError(
            f"times: got one {far:.3g} frames from time 0, expected at most {FARTHEST:,}"
        )
    nearest = np.rint(frame)
    on_frame = np.abs(times - dt * nearest) <= 4 * np.finfo(float).eps * np.abs(times)
    before = np.where(on_frame, nearest, np.trunc(frame)).astype(int)
    between = np.flatnonzero(~on_frame)
    needed = before[on_frame] if adaptive else before
    reached = _at_frames(solved, dt, q0, p0, np.unique(needed))
    q, p = (np.empty((len(q0), times.size, q0.shape[1])) for _ in range(2))
    for i in np.flatnonzero(on_frame):
        q[:, i], p[:, i] = reached[before[i]]
    if adaptive and between.size:  # which chooses its steps anyway
        q[:, between], p[:, between] = solved(q0, p0, times[between])
        return q, p
    for i in between:
        q_at, p_at = solved(*reached[before[i]], np.array([times[i] - dt * before[i]]))
        q[:, i], p[:, i] = q_at[:, 0], p_at[:, 0]
    return q, p


def _at_frames(
    solved: Solved, dt: float, q0: np.ndarray, p0: np.ndarray, frames: np.ndarray
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """States, (n, d) each, at frames by their number, which may be negative; 0 is the start."""
    found = {0: (q0, p0)}
    room = max(1, _ROOM // q0.size)
    for way in (1, -1):
        last = max(0, int((way * frames).max(initial=0)))
        q, p, begin = q0, p0, 0
        while begin < last:
            numbers_of = way * np.arange(begin + 1, min(begin + room, last) + 1)
            q_at, p_at = solved(q, p, dt * numbers_of - dt * way * begin)
            for place in np.flatnonzero(np.isin(numbers_of, frames)):
                found[int(numbers_of[place])] = q_at[:, place], p_at[:, place]
            q, p = (np.ascontiguousarray(x[:, -1]) for x in (q_at, p_at))
            begin += numbers_of.size
    return found


def frames_of(
    recipe: Recipe,
    system: System,
    q: np.ndarray,
    params: np.ndarray,
    arrays: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Frames of given states, drawn as a recipe draws some trajectories.

    Arguments:
        recipe: Of the data set.
        system: Of the recipe.
        q: (n, T, d).
        params: (n, n_params).
        arrays: Further stored arrays of these trajectories: `color` and `offset`, if random.

    Returns:
        (n, T, height, width, 3) uint8.

    Raises:
        RecipeError: Positions have the wrong shape.
    """
    n, side, style = len(params), recipe.resolution, drawing.find(recipe.style)
    if q.ndim != 3 or q.shape[0] != n or q.shape[2] != system.dimension:
        raise RecipeError(
            f"q: got shape {q.shape}, expected ({n}, T, {system.dimension}) for {n} trajectories "
            f"of {system.name}"
        )
    if recipe.colors:
        choice = np.clip(arrays["color"], 0, recipe.colors - 1)
        colours = palette.hue_wheel(recipe.colors)[choice]
    else:
        colours = np.tile(style.colours(system.bodies), (n, 1, 1))
    offset = np.ascontiguousarray(arrays["offset"] if recipe.canvas_offset else np.zeros((n, 2)))
    xy = positions(system, np.ascontiguousarray(q), params)
    radii = np.ascontiguousarray(style.radii(system, system.masses(params)))
    out = np.empty((n, q.shape[1], side, side, 3), dtype=np.uint8)
    if n:
        discs = canvas.images(system, params, xy, radii, colours)
        style.draw(*discs, float(recipe.half_width or 1.0), offset, out)
    return out
