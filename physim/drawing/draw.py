"""Draw states of a system: the function for users, `physim.draw`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np

from physim.drawing import find
from physim.drawing.style import HIGHEST_RESOLUTION, LOWEST_RESOLUTION, Style
from physim.errors import RecipeError
from physim.systems.positions import positions
from physim.systems.rows import number, numbers, rows, whole
from physim.systems.system import System


def draw(
    system: System | str,
    q: np.ndarray,
    params: Mapping[str, float | Sequence[float]] | np.ndarray | None = None,
    *,
    style: Style | str = "hgn",
    resolution: int = 32,
    colours: np.ndarray | None = None,
    half_width: float | None = None,
) -> np.ndarray:
    """Images of a system's states.

    Arguments:
        system: A system or its name.
        q: Coordinates, (..., d); `n_body` has as many bodies as are given, 2 to 8.
        params: Physical parameters by symbol, or a row of all of them, (n_params,); the values of
            the HGN paper where left out.
        style: `hgn`, `dm`, or a style of your own.
        resolution: Pixels a side, 8–1024.
        colours: (bodies, 3) in 0…1; the style's own if left out.
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
        from physim.systems import bodies_of
        from physim.systems import find as find_system

        name = str(system)
        system = find_system(name, bodies_of(name, states.shape[-1]) if states.ndim else None)
    if not isinstance(style, Style):
        style = find(str(style))
    expected = f"a whole number, {LOWEST_RESOLUTION}–{HIGHEST_RESOLUTION}"
    side = whole("resolution", resolution, LOWEST_RESOLUTION, HIGHEST_RESOLUTION, expected)
    if states.ndim == 0 or states.shape[-1] != system.dimension:
        wanted = f"(..., {system.dimension}) for {system.name}"
        raise RecipeError(f"q: got the shape {states.shape}, expected {wanted}")
    row = rows(system, params)
    if len(row) != 1:
        raise RecipeError(f"params: got {len(row)} rows, expected one for all states")
    flat = np.ascontiguousarray(states.reshape(1, -1, system.dimension))
    xy = positions(system, flat, row)
    if half_width is None:
        largest = {symbol: float(row[0, at].max()) for symbol, at in system.columns.items()}
        for setting in system.samplers[0].settings:
            largest.setdefault(setting.symbol, setting.default.high)
        half_width = style.half_width(system, largest)
    wide = number("half_width", half_width, 0, sys.float_info.max, "a finite number above 0")
    palette = style.colours(system.bodies) if colours is None else numbers("colours", colours)
    image = np.empty((1, flat.shape[1], side, side, 3), dtype=np.uint8)
    style.draw(
        xy,
        np.ascontiguousarray(style.radii(system, system.masses(row))),
        np.ascontiguousarray(palette[None]),
        wide,
        np.zeros((1, 2)),
        image,
    )
    return image.reshape(*states.shape[:-1], side, side, 3)
