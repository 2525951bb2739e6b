"""The edge of the canvas: who leaves the picture, and where the picture is put."""

from __future__ import annotations

import numpy as np
from numba import types

from physim.fields import CUBE, MATRIX, kernel

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
