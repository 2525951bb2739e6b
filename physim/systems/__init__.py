"""The systems, one file each.

Only names live here: a system's file, and with it Numba, is imported when the system is looked up.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from physim.errors import RecipeError, unknown

if TYPE_CHECKING:
    import numpy as np

    from physim.systems.system import System

SYSTEMS: dict[str, tuple[str, int | None]] = {
    "mass_spring": ("physim.systems.mass_spring", None),
    "pendulum": ("physim.systems.pendulum", None),
    "double_pendulum": ("physim.systems.double_pendulum", None),
    "two_body": ("physim.systems.gravity", 2),
    "three_body": ("physim.systems.gravity", 3),
    "n_body": ("physim.systems.gravity", 0),
}
"""Name to (module, number of bodies): None where no system of the file has a choice, 0 where one
chooses."""

BODIES = range(2, 9)
"""How many bodies `n_body` may have."""

DEFAULT_BODIES = 4
"""How many `n_body` has where nothing is said."""


def bodies_of(name: str, numbers: int) -> int | None:
    """Number of bodies in a state with that many positions, if the system has a choice."""
    bodies, rest = divmod(numbers, 2)
    chosen = SYSTEMS.get(name, ("", None))[1] == 0 and not rest and bodies in BODIES
    return bodies if chosen else None


def of_states(name: str, states: np.ndarray) -> System:
    """The system of that name, with as many bodies as have positions, where it has the choice.

    Arguments:
        name: One of `SYSTEMS`.
        states: Positions, (..., d).

    Raises:
        RecipeError: There is no such system.
    """
    return find(name, bodies_of(name, states.shape[-1]) if states.ndim else None)


@cache
def find(name: str, bodies: int | None = None) -> System:
    """The system of that name.

    Arguments:
        name: One of `SYSTEMS`.
        bodies: Number of bodies, 2 to 8, for `n_body`; 4 where left out.

    Returns:
        The system; the same object every time.

    Raises:
        RecipeError: There is no such system, or it does not support that many bodies.

    Example:
        >>> find("three_body").bodies
        3
    """
    if name not in SYSTEMS:
        raise RecipeError(unknown("system", str(name), SYSTEMS))
    module, own = SYSTEMS[name]
    if own == 0:
        own = DEFAULT_BODIES if bodies is None else bodies
        if own not in BODIES:
            raise RecipeError(f"bodies: got {bodies}, expected {BODIES[0]} … {BODIES[-1]}")
        return import_module(module).n_body(name, own)
    if own is not None:
        system = import_module(module).n_body(name, own)
    else:
        system = import_module(module).SYSTEM
    if bodies not in (None, system.bodies):
        raise RecipeError(
            f"bodies: got {bodies}, but {name} always has {system.bodies}; only n_body takes "
            f"{BODIES[0]} … {BODIES[-1]}"
        )
    return system
