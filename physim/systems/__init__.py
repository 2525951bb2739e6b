"""The systems, one file each.

Only names live here: a system's file, and with it Numba, is imported when the system is looked up.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from physim import plugins
from physim.errors import RecipeError, unknown

if TYPE_CHECKING:
    import numpy as np

    from physim.systems.system import System

SYSTEMS: dict[str, tuple[str, int | range | None]] = {
    "mass_spring": ("physim.systems.mass_spring", None),
    "pendulum": ("physim.systems.pendulum", None),
    "double_pendulum": ("physim.systems.double_pendulum", None),
    "two_body": ("physim.systems.gravity", 2),
    "three_body": ("physim.systems.gravity", 3),
    "n_body": ("physim.systems.gravity", range(2, 9)),
    "lennard_jones": ("physim.systems.lennard_jones", range(2, 17)),
}
"""Name to (module, number of bodies): None where the module has one `SYSTEM`; else its
`of_bodies` makes one of a number of bodies, which is fixed, or chosen from a range."""

DEFAULT_BODIES = 4
"""How many bodies there are where there is a choice and nothing is said."""


def _is_known(name: str) -> bool:
    """Whether a name is in the list, perhaps as a line of a plugin."""
    if name not in SYSTEMS:
        plugins.load()
    return name in SYSTEMS


def choice_of_bodies(name: str) -> range:
    """How many bodies a system may have, if one can choose; empty if not."""
    bodies = SYSTEMS[name][1] if _is_known(name) else None
    return bodies if isinstance(bodies, range) else range(0)


def with_choice_of_bodies() -> str:
    """The systems with a choice, in words."""
    chosen = {name: choice_of_bodies(name) for name in SYSTEMS}
    return ", ".join(f"{name} {all_[0]} … {all_[-1]}" for name, all_ in chosen.items() if all_)


def bodies_of(name: str, numbers: int) -> int | None:
    """Number of bodies in a state with that many positions, if the system has a choice."""
    bodies, rest = divmod(numbers, 2)
    return bodies if not rest and bodies in choice_of_bodies(name) else None


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
        bodies: Number of bodies, where the system has a choice; 4 if left out.

    Returns:
        The system; the same object every time.

    Raises:
        RecipeError: There is no such system, or it does not support that many bodies.

    Example:
        >>> find("three_body").bodies
        3
        >>> find("n_body", 6).bodies
        6
    """
    if not _is_known(name):
        raise RecipeError(unknown("system", str(name), SYSTEMS))
    module, own = SYSTEMS[name]
    if isinstance(own, range):
        number = DEFAULT_BODIES if bodies is None else bodies
        if number not in own:
            raise RecipeError(f"bodies: got {bodies}, expected {own[0]} … {own[-1]} for {name}")
        return import_module(module).of_bodies(name, number)
    if own is not None:
        system = import_module(module).of_bodies(name, own)
    else:
        system = import_module(module).SYSTEM
    if bodies not in (None, system.bodies):
        raise RecipeError(
            f"bodies: got {bodies}, but {name} always has {system.bodies}; a choice have "
            f"{with_choice_of_bodies()}"
        )
    return system
