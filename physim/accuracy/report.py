"""The accuracy study as a list of tables, each with what must hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np

from physim import integrators, systems
from physim.accuracy import conservation, solvers, studies
from physim.accuracy.table import Table, number
from physim.integrators.integrator import Integrator
from physim.systems.system import System


def methods(steps_only: bool = False) -> list[Integrator]:
    """All integrators, or those that take steps."""
    found = [integrators.find(name) for name in integrators.INTEGRATORS]
    return [method for method in found if not steps_only or method.advance is not None]


def all_systems() -> list[System]:
    """All systems, those with a choice with four bodies."""
    return [systems.find(name) for name in systems.SYSTEMS]


def tables(
    full: bool = False, progress: Callable[[str], None] = lambda title: None
) -> Iterator[Table]:
    """Run the study.

    Arguments:
        full: More trajectories and longer runs; minutes instead of seconds.
        progress: Called with the title of each part before it starts.

    Yields:
        The tables as they are done.
    """
    for part in (_truth, _orders, _energies, _structure, _solvers, _costs):
        progress(str(part.__doc__).rstrip("."))
        yield part(full)


def _truth(full: bool) -> Table:
    """Conserved quantities of the default data sets."""
    table = Table(
        "truth",
        "Conserved quantities over 30 frames, worst in each data set, default integrator",
        [
            "data set",
            "integrator",
            "trajectories",
            "energy",
            "momentum",
            "angular momentum",
            "Laplace–Runge–Lenz",
            "closest distance at a frame",
        ],
    )
    n = 10_000 if full else 1000
    for system in all_systems():
        for paper in (True, False):
            found = conservation.worst(system, n, paper)
            name = f"{system.name}, {'paper' if paper else 'random parameters'}"
            numbers = [found.energy, found.momentum, found.spin, found.ellipse, found.closest]
            table.rows.append(
                [name, system.default_integrator, f"{n:,}", *(number(value) for value in numbers)]
            )
            bound = 1e-11 if system.bodies > 2 else 1e-12
            table.check(found.energy < bound, f"{name}: energy error {found.energy:.1e}")
            for what, value in (
                ("momentum", found.momentum),
                ("angular momentum", found.spin),
                ("Laplace–Runge–Lenz vector", found.ellipse),
            ):
                held = value is None or value < 1e-11
                table.check(held, f"{name}: {what} changes by {number(value)}")
    return table


SLOPES = {
    ("dop853", "mass_spring"): 0.1,
    ("dop853", "pendulum"): 0.5,
    ("dop853", "double_pendulum"): 1.0,
    ("dop853", "two_body"): 0.1,
    ("dop853", "three_body"): 0.1,
    ("dop853", "n_body"): 0.1,
    ("dop853", "lennard_jones"): 1.0,
    ("gauss_radau", "mass_spring"): 0.5,
    ("gauss_radau", "double_pendulum"): 0.5,
}
"""How far the measured order of an adaptive method may be from theory; of all others, 0.1.

Both meet rounding while the next terms of the series still count.
"""

BLURRED = ("gauss_radau",)
"""On systems not in SLOPES their error is rounding before the slope is straight."""


def _orders(full: bool) -> Table:
    """Orders of convergence."""
    table = Table(
        "orders",
        "Measured order of convergence (median slope over 40 trajectories)",
        ["integrator", "order", *systems.SYSTEMS],
    )
    for method in methods(steps_only=True):
        cells = []
        for system in all_systems():
            if not method.fits(system, 0.0):
                cells.append("–")
                continue
            order = studies.convergence(method, system).order
            if (method.name, system.name) not in SLOPES and method.name in BLURRED:
                cells.append("(rounding)")
                continue
            cells.append(f"{order:.2f}")
            within = SLOPES.get((method.name, system.name), 0.1)
            table.check(
                abs(order - method.order) < within,
                f"{method.name} on {system.name}: order {order:.2f}, expected {method.order} "
                f"within {within}",
            )
        table.rows.append([method.name, str(method.order), *cells])
    return table


DRIFT = 1.2
"""What the energy error of a method that is not symplectic at least grows by between 30 and 300
steps, and again to the end of a long run."""

ENERGY_STEPS = 30, 300, 100_000
"""After how many steps the energy error is looked at."""

_ENERGY_DT = {"pendulum": 0.1, "double_pendulum": 0.02, "two_body": 0.1}


def _energies(full: bool) -> Table:
    """Energy errors of long runs."""
    checkpoints = ENERGY_STEPS if full else (30, 300, 10_000)
    headings = [f"{steps:,} steps" for steps in checkpoints]
    table = Table(
        "energy",
        f"Worst |H/H₀ − 1| over {', '.join(headings)} of equal length",
        ["system, step", "integrator", "symplectic", *headings],
    )
    for name, dt in _ENERGY_DT.items():
        system = systems.find(name)
        states = studies.gentle(system)
        for method in methods(steps_only=True):
            if not method.fits(system, 0.0):
                continue
            errors = conservation.energy_errors(method, system, states, dt, checkpoints)
            table.rows.append(
                [
                    f"{name}, {dt}",
                    method.name,
                    "yes" if method.symplectic else "no",
                    *(number(errors[steps]) for steps in checkpoints),
                ]
            )
            early, middle, late = (errors[steps] for steps in checkpoints)
            grows = f"{method.name} on {name}: {early:.1e} to {middle:.1e} to {late:.1e}"
            if method.symplectic:
                # Bounded, up to the walk of rounding errors.
                table.check(late < 3 * middle + 1e-11, f"{grows}, expected a bounded error")
            else:
                # At 30 steps the error of an adaptive method is a few units of the last digit.
                drifts = DRIFT * middle < late and (method.adaptive or DRIFT * early < middle)
                table.check(drifts, f"{grows}, expected a drift")
            if method.adaptive:
                table.check(late < 1e-11, f"{grows}, expected less than 1e-11")
    return table


VISIBLE = 1e-8
"""The symplectic defect of Euler and of the Runge–Kutta method of order 4 is larger than that."""


def _structure(full: bool) -> Table:
    """Symplecticity and reversibility."""
    table = Table(
        "structure",
        "‖MᵀJM − J‖ of one step of 0.1, and distance from the start after 100 steps of 0.05 "
        "forward and 100 back; worst over all applicable systems",
        ["integrator", "symplectic", "‖MᵀJM − J‖", "reversible", "there and back"],
    )
    for method in methods():
        defects, returns = [], []
        for system in all_systems():
            if method.fits(system, 0.0):
                states = studies.gentle(system)
                defects.append(conservation.symplectic_defect(method, system, states, 0.1))
                returns.append(conservation.return_error(method, system, states, 0.05, 100))
        # np.max and not max, which loses a nan that is not its first argument.
        defect, back = float(np.max(defects)), float(np.max(returns))
        table.rows.append(
            [
                method.name,
                "yes" if method.symplectic else "no",
                number(defect),
                "yes" if method.reversible else "no",
                number(back),
            ]
        )
        if method.symplectic:
            table.check(defect < 1e-10, f"{method.name}: defect {defect:.1e}")
        elif not method.adaptive:
            table.check(
                defect > VISIBLE,
                f"{method.name}: defect {defect:.1e}, expected more than {VISIBLE}",
            )
        else:
            table.check(math.isfinite(defect), f"{method.name}: defect {defect:.1e}")
        if method.reversible:
            table.check(back < 1e-11, f"{method.name}: returns within {back:.1e}")
        else:
            table.check(math.isfinite(back), f"{method.name}: returns within {back:.1e}")
    return table


def _solvers(full: bool) -> Table:
    """The default integrators against SciPy and mpmath."""
    taylor = find_spec("mpmath") is not None
    n = 100 if full else 10
    table = Table(
        "solvers",
        "Largest difference in a stored coordinate at any of 30 frames, from SciPy over "
        f"{n} trajectories per data set, from mpmath for the one on which SciPy differs most",
        ["data set", "integrator", "SciPy DOP853, rtol 1e-13", "mpmath, Taylor, 22 digits"],
    )
    for system in all_systems():
        for paper in (True, False):
            name = f"{system.name}, {'paper' if paper else 'random parameters'}"
            states = studies.drawn(system, n, paper)
            differences = solvers.scipy_differences(system, states)
            scipy = float(np.max(differences))
            table.check(scipy < APART.get(system.name, 1e-9), f"{name}: {scipy:.1e} from SciPy")
            mpmath = None
            # The Taylor method takes minutes for the wilder systems, and longer for atoms.
            quick = ("mass_spring", "pendulum")
            if taylor and (system.name in quick or (full and system.name != "lennard_jones")):
                one = states.only(int(np.argmax(differences)))
                mpmath = solvers.taylor_difference(system, one, tuple(range(1, studies.FRAMES)))
                table.check(mpmath < 1e-9, f"{name}: {mpmath:.1e} from mpmath")
            table.rows.append([name, system.default_integrator, number(scipy), number(mpmath)])
    return table


APART = {"lennard_jones": 1e-8}
"""How far two methods may be from each other where it is more than 1e-9: chaos magnifies what
SciPy's and our DOP853 are off by."""

_SUBSTEPS = {"leapfrog": 100, "yoshida4": 30, "kahan_li6": 10, "kahan_li8": 5, "rk4": 30}


def _costs(full: bool) -> Table:
    """Error against cost."""
    table = Table(
        "cost",
        "30 frames of the default set, paper parameters, on one core",
        [
            "system",
            "integrator",
            "steps per frame",
            "µs per trajectory",
            "energy error",
            "state error",
        ],
    )
    n = 1000 if full else 200
    for system in all_systems():
        states = studies.drawn(system, n, paper=True)
        names = [*_SUBSTEPS, "gauss6", "dop853", "gauss_radau", "closed_form"]
        for name in names:
            method = integrators.find(name)
            if not method.fits(system, 0.0):
                continue
            substeps = _SUBSTEPS.get(name, 4 if name == "gauss6" else 1)
            found = studies.cost(method, system, states, substeps)
            if method.exact:
                table.check(
                    found.energy < 1e-11 and found.state < APART.get(system.name, 1e-9),
                    f"{name} on {system.name}: energy error {found.energy:.1e}, "
                    f"state error {found.state:.1e}",
                )
            steps = "–" if method.advance is None else "own" if method.adaptive else str(substeps)
            table.rows.append(
                [
                    system.name,
                    name,
                    steps,
                    f"{found.microseconds:.1f}",
                    number(found.energy),
                    number(found.state),
                ]
            )
    return table
