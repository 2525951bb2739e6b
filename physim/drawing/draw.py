"""Draw states of a system: the function for users, `physim.draw`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from physim.drawing import find
from physim.drawing.style import Style
from physim.errors import RecipeError
from physim.systems.positions import positions
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
        q: Coordinates, (..., d).
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
    if isinstance(system, str):
        from physim.systems import find as find_system

        system = find_system(system)
    if isinstance(style, str):
        style = find(style)
    states = np.asarray(q, dtype=np.float64)
    if states.ndim == 0 or states.shape[-1] != system.dimension:
        wanted = f"(..., {system.dimension}) for {system.name}"
        raise RecipeError(f"q: got the shape {states.shape}, expected {wanted}")
    row = _row(system, params)[None]
    flat = np.ascontiguousarray(states.reshape(1, -1, system.dimension))
    xy = positions(system, flat, row)
    if half_width is None:
        largest = {symbol: float(row[0, at].max()) for symbol, at in system.columns.items()}
        for setting in system.samplers[0].settings:
            largest.setdefault(setting.symbol, setting.default.high)
        half_width = style.half_width(system, largest)
    palette = style.colours(system.bodies) if colours is None else np.asarray(colours, dtype=float)
    image = np.empty((1, flat.shape[1], resolution, resolution, 3), dtype=np.uint8)
    style.draw(
        xy,
        np.ascontiguousarray(style.radii(system, system.masses(row))),
        np.ascontiguousarray(palette[None]),
        half_width,
        np.zeros((1, 2)),
        image,
    )
    return image.reshape(*states.shape[:-1], resolution, resolution, 3)


def _row(
    system: System, params: Mapping[str, float | Sequence[float]] | np.ndarray | None
) -> np.ndarray:
    """All parameters in the system's order, (n_params,)."""
    if params is not None and not isinstance(params, Mapping):
        row = np.ascontiguousarray(params, dtype=np.float64)
        if row.shape != (system.n_params,):
            raise RecipeError(f"params: got the shape {row.shape}, expected ({system.n_params},)")
        return row
    row = np.empty(system.n_params)
    for parameter in system.parameters:
        row[system.columns[parameter.symbol]] = parameter.paper.low
    for symbol, value in (params or {}).items():
        if symbol not in system.columns:
            raise RecipeError(
                f"params: {system.name} has no '{symbol}', expected {', '.join(system.columns)}"
            )
        row[system.columns[symbol]] = value
    return row
