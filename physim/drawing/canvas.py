"""The edge of the canvas: who leaves the picture, where it is put, and a world without an edge."""

from __future__ import annotations

import numpy as np
from numba import types

from physim.errors import RecipeError
from physim.fields import CUBE, MATRIX, kernel
from physim.systems.system import System

OFFSET_RANGE = 0.4
"""Where the canvas is placed at random, its half-width grows by this share, and its centre is
drawn uniformly up to this share of the original half-width away from the origin, in x and in y."""


@kernel(types.void(CUBE, MATRIX, types.float64, types.float64, MATRIX, types.boolean[::1]))
def _leave(xy, radii, half_width, margin, offset, out):
    """`outside`, written to `out`."""
    for i in range(xy.shape[0]):
        out[i] = False
        for b in range(radii.shape[1]):
            limit = half_width - margin * radii[i, b]
            for t in range(xy.shape[1]):
                inside_x = abs(xy[i, t, 2 * b] - offset[i, 0]) <= limit
                inside_y = abs(xy[i, t, 2 * b + 1] - offset[i, 1]) <= limit
                if not (inside_x and inside_y):
                    out[i] = True


def outside(
    xy: np.ndarray,
    radii: np.ndarray,
    half_width: float,
    margin: float,
    offset: np.ndarray | None = None,
) -> np.ndarray:
    """Whether any body leaves the canvas in any frame; a position that is not finite is outside.

    Arguments:
        xy: Centres in the world, x1, y1, x2, y2, …, (n, frames, 2 bodies).
        radii: Radii in the world, (n, bodies).
        half_width: Half the width of the canvas.
        margin: How many radii a centre must stay away from the edge, `Style.margin`.
        offset: Centre of the canvas in the world, (n, 2); the origin if left out.

    Returns:
        (n,) bool.

    Example:
        A disc of radius 0.5 whose centre comes within 0.2 of the edge of a canvas of half-width 1:

        >>> xy = np.array([[[0.0, 0.0], [0.8, 0.0]]])
        >>> outside(xy, np.array([[0.5]]), 1.0, margin=1.0)
        array([ True])
        >>> outside(xy, np.array([[0.5]]), 1.0, margin=0.0)
        array([False])
    """
    found = np.empty(len(xy), dtype=np.bool_)
    centre = np.zeros((len(xy), 2)) if offset is None else offset
    _leave(xy, radii, float(half_width), float(margin), centre, found)
    return found


def box_side(system: System, params: np.ndarray) -> float | None:
    """Side of the periodic box that is the canvas; None where the world has no box.

    Arguments:
        system: Whose world.
        params: Rows of parameters, (n, n_params).

    Raises:
        RecipeError: The rows have boxes of different sizes.
    """
    if not system.box:
        return None
    sides = params[:, system.columns[system.box]]
    if sides.min() != sides.max():
        raise RecipeError(
            f"params.{system.box}: got {sides.min():g} … {sides.max():g}, expected one side for "
            "all, as the canvas is the box"
        )
    return float(sides[0, 0])


def images(
    system: System, params: np.ndarray, xy: np.ndarray, radii: np.ndarray, colours: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is drawn: the bodies and, in a periodic box, their images across the nearest sides.

    Arguments:
        system: Whose bodies.
        params: Rows of parameters, (n, n_params).
        xy: Centres in the world, (n, frames, 2 bodies), those in a box within it.
        radii: Radii in the world, (n, bodies).
        colours: Red, green, blue in 0…1, (n, bodies, 3).

    Returns:
        The three, with four times as many bodies if there is a box: each followed by its images.

    Raises:
        RecipeError: The rows have boxes of different sizes.
    """
    side = box_side(system, params) if len(params) else None
    if side is None:
        return xy, radii, colours
    n, frames, bodies = *xy.shape[:2], system.bodies
    place = xy.reshape(n, frames, bodies, 1, 2)
    across = np.where(place < 0, side, -side)
    moves = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    return (
        np.ascontiguousarray((place + across * moves).reshape(n, frames, 8 * bodies)),
        np.repeat(radii, 4, axis=1),
        np.repeat(colours, 4, axis=1),
    )
