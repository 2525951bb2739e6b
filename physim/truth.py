"""The simulator's continuation of stored trajectories to times that are not stored."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from physim import drawing, integrators
from physim.drawing import canvas, palette
from physim.errors import RecipeError
from physim.recipe import Recipe
from physim.simulation import simulate
from physim.systems.positions import positions
from physim.systems.rows import numbers
from physim.systems.system import System


def states_at(
    recipe: Recipe, q0: np.ndarray, p0: np.ndarray, params: np.ndarray, times: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """States at given times, with the integrator and the friction of a recipe.

    Arguments:
        recipe: Of the data set.
        q0: Positions at time 0, (n, d).
        p0: Momenta at time 0, (n, d).
        params: (n, n_params).
        times: (T,), in any order; negative ones are reached backward from time 0. A fixed-step
            integrator takes `substeps` steps from each to the next.

    Returns:
        (q, p), each (n, T, d).

    Raises:
        RecipeError: The times are not numbers, or not in one row.
        SimulationError: A trajectory cannot be followed that far.
    """
    wanted = np.atleast_1d(numbers("times", times))
    if not len(q0) or wanted.shape == (0,):
        return (np.empty((len(q0), wanted.size, q0.shape[1])),) * 2
    return simulate(
        recipe.find_system(), q0, p0, params, wanted, integrator=recipe.integrator,
        friction=recipe.friction,
        substeps=recipe.substeps if integrators.find(recipe.integrator).advance else 1,
    )  # fmt: skip


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
