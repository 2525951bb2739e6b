"""Draw states of a system: the function for users, `physim.draw`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from physim.drawing import canvas, find
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
    background: ArrayLike | None = None,
    radii: ArrayLike | None = None,
    half_width: float | None = None,
) -> np.ndarray:
    """Images of a system's states.

    Arguments:
        system: A system or its name.
        q: Coordinates, (..., d); `n_body` and `lennard_jones` have as many bodies as
            are given.
        params: Physical constants as in `simulate`: for all states, or for each of the first axis.
        style: `hgn`, `dm`, or a style of your own.
        resolution: Side in pixels, 8 to 1024.
        colors: Red, green, blue of each body, (bodies, 3) in 0…1; the style's own if left out.
        background: Red, green, blue behind the bodies, (3,) in 0…1; the style's own if left out.
        radii: Of the discs, in the units of length of the world, not in pixels: a number, or one
            for each body; the style's own, which grow with the masses, if left out. A pixel is
            2 half_width / resolution wide.
        half_width: Half the width of the canvas in the same units; the style's own if left out;
            at most the box, in a periodic one.

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

        A large black bob on white:

        >>> image = draw(
        ...     "pendulum", np.zeros(1), colors=[[0, 0, 0]], background=[1, 1, 1], radii=0.9
        ... )
        >>> int(image[0, 0, 0]), int(image[24, 16, 0])
        (255, 0)
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
    side_of_box = canvas.box_side(system, constants)
    if half_width is None and side_of_box is not None:
        half_width = side_of_box / 2
    if half_width is None:
        largest = {symbol: float(constants[:, at].max()) for symbol, at in system.columns.items()}
        for setting in system.samplers[0].settings:
            largest.setdefault(setting.symbol, setting.default.high)
        half_width = style.half_width(system, largest)
    most, expected = sys.float_info.max, "a finite number above 0"
    if side_of_box is not None:
        most, expected = (
            side_of_box / 2,
            f"a number above 0, at most half the box, {side_of_box / 2:g}",
        )
    wide = number("half_width", half_width, 0, most, expected)
    n, bodies = len(constants), system.bodies
    palette = style.colours(bodies)
    if colors is not None:
        palette = _colours("colors", colors, (bodies, 3))
    if background is not None:
        behind = _colours("background", background, (3,))
        style = replace(style, background=tuple(behind.tolist()))
    sizes = style.radii(system, system.masses(constants))
    if radii is not None:
        sizes = np.full((n, bodies), _radii(radii, bodies))
    image = np.empty((n, xy.shape[1], side, side, 3), dtype=np.uint8)
    discs = xy, np.ascontiguousarray(sizes), np.tile(palette, (n, 1, 1))
    style.draw(*canvas.images(system, constants, *discs), wide, np.zeros((n, 2)), image)
    return image.reshape(*states.shape[:-1], side, side, 3)


def _colours(name: str, value: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    found = numbers(name, value)
    if found.shape != shape:
        raise RecipeError(f"{name}: got shape {found.shape}, expected {shape}")
    if not (found.min() >= 0 and found.max() <= 1):
        raise RecipeError(
            f"{name}: got {found.min():g} … {found.max():g}, expected values in 0 … 1"
        )
    return found


def _radii(value: ArrayLike, bodies: int) -> np.ndarray:
    found = numbers("radii", value)
    if found.shape not in ((), (bodies,)):
        raise RecipeError(
            f"radii: got shape {found.shape}, expected a number or ({bodies},), one for each body"
        )
    if found.min() <= 0:
        raise RecipeError(f"radii: got {found.min():g}, expected numbers above 0")
    return found
