"""Where the bodies of many states are in the plane."""

from __future__ import annotations

import numpy as np
from numba import types

from physim.fields import CUBE, MATRIX, POSITIONS, kernel
from physim.systems.system import System


@kernel(types.void(types.FunctionType(POSITIONS), MATRIX, CUBE, CUBE))
def _positions(positions, params, q, out):
    for i in range(q.shape[0]):
        for t in range(q.shape[1]):
            positions(q[i, t], params[i], out[i, t])


def positions(system: System, q: np.ndarray, params: np.ndarray) -> np.ndarray:
    """Where the bodies are in the plane, +y up.

    Arguments:
        system: Whose bodies.
        q: Positions in phase space, (n, T, d).
        params: Rows of parameters, (n, n_params).

    Returns:
        (n, T, 2 bodies): x₁, y₁, x₂, y₂, …

    Raises:
        RecipeError: An array does not fit the system.
    """
    system.check(params, q)
    out = np.empty((*q.shape[:2], 2 * system.bodies))
    _positions(system.positions.compiled, params, q, out)
    return out
