"""Draw states of a system: the function for users, `physim.draw`."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from physim.drawing import find
from physim.drawing.style import HIGHEST_RESOLUTION, LOWEST_RESOLUTION, Style
from physim.errors import RecipeError
from physim.systems.positions import positions
from physim.systems.rows import groups, number, numbers, rows, whole
from physim.systems.system import System


def draw(
    system: System | str,
    q: ArrayLike,
    params: Mapping[str, ArrayLike] | ArrayLike | None = None,
    *,
    style: Style | str = "hgn",
    resolution: int = 32,
    colors: ArrayLike | None = None,
    half_width: float | None = None,
) -> np.ndarray:
    """Images of a system's states.

    Arguments:
        system: A system or its name.
        q: Coordinates, (..., d); `n_body` has as many bodies as are given, 2 to 8.
        params: Physical constants as in `simulate`: for all states, or for each of the first axis.
        style: `hgn`, `dm`, or a style of your own.
        resolution: Side in pixels, 8 to 1024.
        colors: (bodies, 3) in 0…1; the style's own if left out.
        half_width: Half the width of the canvas in the world; the style's own if left out.

    Returns:
        (..., resolution, resolution, 3) uint8, row 0 at the top.

    Raises:
        RecipeError: If a name is unknown or a value does not fit the system.

    Example:
        A pendulum that hangs at rest, its bob below the pivot in the middle:

        >>> image = draw("pendulum", np.zeros(1))
        >>> image.shape
        (32, 32, 3)
        >>> int(image[16:, :, 0].max()) > int(image[:16, :, 0].max())
        True
    """
    states = numbers("q", q)
    if not isinstance(system, System):
        from physim import systems

        system = systems.of_states(str(system), states)
    if not isinstance(style, Style):
        style = find(str(style))
    expected = f"a whole number, {LOWEST_RESOLUTION}–{HIGHEST_RESOLUTION}"
    side = whole("resolution", resolution, LOWEST_RESOLUTION, HIGHEST_RESOLUTION, expected)
    constants = rows(system, params)
    xy = positions(system, groups(system, "q", states, len(constants)), constants)
    if half_width is None:
        largest = {symbol: float(constants[:, at].max()) for symbol, at in system.columns.items()}
        for setting in system.samplers[0].settings:
            largest.setdefault(setting.symbol, setting.default.high)
        half_width = style.half_width(system, largest)
    wide = number("half_width", half_width, 0, sys.float_info.max, "a finite number above 0")
    palette = style.colours(system.bodies) if colors is None else numbers("colors", colors)
    if palette.shape != (system.bodies, 3):
        raise RecipeError(f"colors: got shape {palette.shape}, expected ({system.bodies}, 3)")
    n = len(constants)
    image = np.empty((n, xy.shape[1], side, side, 3), dtype=np.uint8)
    style.draw(
        xy,
        np.ascontiguousarray(style.radii(system, system.masses(constants))),
        np.tile(palette, (n, 1, 1)),
        wide,
        np.zeros((n, 2)),
        image,
    )
    return image.reshape(*states.shape[:-1], side, side, 3)
