"""The integrators, one file each or one file per family.

Only names live here: an integrator's file, and with it Numba, is imported when it is looked up.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from physim import plugins
from physim.errors import RecipeError, unknown

if TYPE_CHECKING:
    from physim.integrators.integrator import Integrator
    from physim.systems.system import System

INTEGRATORS: dict[str, str] = {
    "euler": "physim.integrators.euler",
    "symplectic_euler": "physim.integrators.symplectic_euler",
    "leapfrog": "physim.integrators.leapfrog",
    "yoshida4": "physim.integrators.composition",
    "kahan_li6": "physim.integrators.composition",
    "kahan_li8": "physim.integrators.composition",
    "rk4": "physim.integrators.rk4",
    "implicit_midpoint": "physim.integrators.gauss",
    "gauss4": "physim.integrators.gauss",
    "gauss6": "physim.integrators.gauss",
    "dop853": "physim.integrators.dop853",
    "gauss_radau": "physim.integrators.gauss_radau",
    "closed_form": "physim.integrators.closed_form",
}
"""Name to the module that holds it, there under the name in capitals."""

SYNONYMS: dict[str, str] = {
    "explicit_euler": "euler",
    "semi_implicit_euler": "symplectic_euler",
    "verlet": "leapfrog",
    "velocity_verlet": "leapfrog",
    "stormer_verlet": "leapfrog",
    "forest_ruth": "yoshida4",
    "runge_kutta": "rk4",
    "midpoint": "implicit_midpoint",
    "gauss_legendre": "gauss6",
    "dopri5": "dop853",
    "rk45": "dop853",
    "ias15": "gauss_radau",
    "radau": "gauss_radau",
    "exact": "closed_form",
    "analytic": "closed_form",
}
"""Other names of these methods or of their nearest relatives, for the hint in an error."""

REFERENCE = "gauss_radau"
"""The one that solves every system, with friction too, to machine precision."""


@cache
def find(name: str) -> Integrator:
    """The integrator of that name.

    Arguments:
        name: One of `INTEGRATORS`.

    Returns:
        The integrator.

    Raises:
        RecipeError: There is none of that name.

    Example:
        >>> find("leapfrog").order
        2
    """
    if name not in INTEGRATORS:
        plugins.load()
    if name not in INTEGRATORS:
        raise RecipeError(unknown("integrator", str(name), INTEGRATORS, SYNONYMS))
    return getattr(import_module(INTEGRATORS[name]), name.upper())


def fitting(system: System, friction: float = 0.0) -> list[str]:
    """Names of the integrators that solve this system with this friction."""
    return [name for name in INTEGRATORS if find(name).fits(system, friction)]


def choose(system: System, name: str = "", friction: float = 0.0) -> Integrator:
    """The requested integrator, or the system's default if none is.

    Arguments:
        system: What is to be integrated.
        name: One of `INTEGRATORS`; empty for the most accurate one that is fast.
        friction: c in dp/dt = −∂H/∂q − c ∂H/∂p.

    Returns:
        An integrator that solves this system with this friction.

    Raises:
        RecipeError: There is none of that name, or it does not fit; the sentence says which do.
    """
    if not name:
        default = find(system.default_integrator)
        return default if default.fits(system, friction) else find(REFERENCE)
    integrator = find(name)
    if integrator.fits(system, friction):
        return integrator
    if integrator.advance is None and system.closed_form is None:
        reason = f"{system.name} has no closed form"
    elif integrator.separable_only and not system.separable:
        reason = f"{name} needs H = T(p) + V(q), which {system.name} is not"
    else:
        reason = f"{name} knows no friction"
    names = ", ".join(fitting(system, friction))
    raise RecipeError(f"integrator: got '{name}', but {reason}; expected one of {names}")


def check_substeps(integrator: Integrator, substeps: int) -> None:
    """Refuse a request for steps to which a closed form would pay no attention.

    Arguments:
        integrator: The one that is to be used.
        substeps: As the user has asked for.

    Raises:
        RecipeError: They would have no effect.
    """
    if substeps != 1 and integrator.advance is None:
        raise RecipeError(
            f"substeps: got {substeps}, but {integrator.name} takes no steps; leave it out, or "
            "choose another integrator"
        )
