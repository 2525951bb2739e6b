"""The Hamiltonian of states and their time derivatives: `physim.energy`, `physim.derivatives`."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from physim import systems
from physim.errors import RecipeError
from physim.integrators import rollout
from physim.systems.rows import groups, number, numbers, rows
from physim.systems.system import System


def energy(
    system: str | System,
    q: ArrayLike,
    p: ArrayLike,
    params: Mapping[str, ArrayLike] | ArrayLike | None = None,
) -> np.ndarray:
    """H of states.

    Arguments:
        system: A system or its name.
        q: Positions, (..., d).
        p: Momenta, of the same shape.
        params: Physical constants as in `simulate`: for all states, or for each of the first axis.

    Returns:
        H, (...).

    Raises:
        RecipeError: A name is unknown, or shapes do not fit.

    Example:
        >>> float(energy("mass_spring", [3.0], [0.0], {"k": 2.0}))
        9.0
    """
    found, many_q, many_p, constants = _states(system, q, p, params)
    return rollout.energy(found, many_q, many_p, constants).reshape(np.shape(q)[:-1])


def derivatives(
    system: str | System,
    q: ArrayLike,
    p: ArrayLike,
    params: Mapping[str, ArrayLike] | ArrayLike | None = None,
    friction: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """dq/dt = ∂H/∂p and dp/dt = −∂H/∂q − c ∂H/∂p of states.

    Arguments:
        system: A system or its name.
        q: Positions, (..., d).
        p: Momenta, of the same shape.
        params: As in `energy`.
        friction: c.

    Returns:
        (dq/dt, dp/dt), each of the shape of q.

    Raises:
        RecipeError: A name is unknown, or shapes or values do not fit.

    Example:
        >>> dq_dt, dp_dt = derivatives("mass_spring", [3.0], [1.0], {"m": 0.5, "k": 2.0})
        >>> dq_dt.tolist(), dp_dt.tolist()
        ([2.0], [-6.0])
    """
    found, many_q, many_p, constants = _states(system, q, p, params)
    drag = number("friction", friction, 0, sys.float_info.max, "a number from 0")
    dq_dt, dp_dt = rollout.derivatives(found, many_q, many_p, constants, drag)
    return dq_dt.reshape(np.shape(q)), dp_dt.reshape(np.shape(q))


def _states(
    system: str | System,
    q: ArrayLike,
    p: ArrayLike,
    params: Mapping[str, ArrayLike] | ArrayLike | None,
) -> tuple[System, np.ndarray, np.ndarray, np.ndarray]:
    """The system, and states in groups of the same constants."""
    position, momentum = numbers("q", q), numbers("p", p)
    if not isinstance(system, System):
        system = systems.of_states(str(system), position)
    if momentum.shape != position.shape:
        raise RecipeError(f"p: got shape {momentum.shape}, expected {position.shape} as q")
    constants = rows(system, params)
    both = [
        groups(system, name, array, len(constants))
        for name, array in (("q", position), ("p", momentum))
    ]
    return system, both[0], both[1], constants
