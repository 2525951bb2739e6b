"""What a drawing style offers: how bodies become pixels, and what belongs on the canvas.

World coordinates have +y up; row 0 of an image is its top row, in every style. The canvas is the
square of half-width `half_width` around `offset`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numba import types

from physim.errors import RecipeError
from physim.fields import CUBE, MATRIX, VECTOR, Kernel
from physim.systems.system import System

FRAMES = types.uint8[:, :, :, :, ::1]

DRAW = types.void(CUBE, MATRIX, CUBE, VECTOR, types.float64, MATRIX, FRAMES)
"""f(xy, radii, colours, background, half_width, offset, out): see `Style.draw`."""

LOWEST_RESOLUTION, HIGHEST_RESOLUTION = 8, 1024


@dataclass(frozen=True)
class Style:
    """One way of drawing bodies as discs.

    Attributes:
        name: Its name in recipes and on the command line.
        summary: One line.
        kernel: Compiled `DRAW`.
        background: Colour behind the bodies, red, green, blue in 0…1.
        margin: How many radii a centre must stay away from the edge of the canvas to count as
            inside: 1 where the whole disc must be seen, 0 where the centre is enough.
        half_width: (system, largest) to half the width of the canvas in the world; `largest` holds
            the largest value of each parameter and each setting of the sampler.
        radii: (system, masses (n, bodies)) to the radii in the world, (n, bodies).
        colours: Number of colours, k, to the (k, 3) colours that bodies take, in 0…1.
        reference: Where it is described.
    """

    name: str
    summary: str
    kernel: Kernel
    background: tuple[float, float, float]
    margin: float
    half_width: Callable[[System, Mapping[str, float]], float]
    radii: Callable[[System, np.ndarray], np.ndarray]
    colours: Callable[[int], np.ndarray]
    reference: str

    def draw(
        self,
        xy: np.ndarray,
        radii: np.ndarray,
        colours: np.ndarray,
        half_width: float,
        offset: np.ndarray,
        out: np.ndarray,
    ) -> None:
        """Draw every frame of a block of trajectories into `out`.

        One thread, and the GIL is released: split a large block over threads. The first body is
        drawn in front of the second, and so on.

        Arguments:
            xy: Centres in the world, x1, y1, x2, y2, …, (n, frames, 2 bodies) float64.
            radii: Radii in the world, (n, bodies) float64.
            colours: Red, green, blue in 0…1, (n, bodies, 3) float64.
            half_width: Half the width of the canvas, in the world.
            offset: Centre of the canvas in the world, (n, 2) float64.
            out: (n, frames, resolution, resolution, 3) uint8, C-contiguous; every pixel is
                written.

        Raises:
            RecipeError: If a shape or a value does not fit, such as a resolution outside 8–1024.
        """
        n, frames, height, width, _ = out.shape
        bodies = radii.shape[1]
        if height != width or not LOWEST_RESOLUTION <= height <= HIGHEST_RESOLUTION:
            raise RecipeError(
                f"resolution: got {height} × {width}, expected a square of "
                f"{LOWEST_RESOLUTION}–{HIGHEST_RESOLUTION} pixels"
            )
        if not 0 < half_width < np.inf:
            raise RecipeError(f"half_width: got {half_width}, expected a finite number above 0")
        for name, array, shape in (
            ("xy", xy, (n, frames, 2 * bodies)),
            ("radii", radii, (n, bodies)),
            ("colours", colours, (n, bodies, 3)),
            ("offset", offset, (n, 2)),
        ):
            if array.shape != shape:
                raise RecipeError(f"{name}: got the shape {array.shape}, expected {shape}")
        if not (colours.min() >= 0 and colours.max() <= 1):
            raise RecipeError(
                f"colours: got {colours.min():g} … {colours.max():g}, expected values in 0 … 1"
            )
        background = np.array(self.background, dtype=np.float64)
        self.kernel(xy, radii, colours, background, float(half_width), offset, out)
