"""The accuracy study as a list of tables, each with what must hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from physim import integrators, systems
from physim.accuracy import conservation, solvers, studies
from physim.errors import PhysimError
from physim.integrators.integrator import Integrator
from physim.systems.system import System


@dataclass
class Table:
    """Numbers to print, and the promises among them that do not hold.

    Attributes:
        name: One word, under which `docs/accuracy.md` shows it.
        title: What is shown.
        header: Names of the columns.
        rows: Cells as text.
        broken: One sentence for each promise that does not hold.
    """

    name: str
    title: str
    header: list[str]
    rows: list[list[str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def check(self, holds: bool, sentence: str) -> None:
        """Note a promise that does not hold."""
        if not holds:
            self.broken.append(f"{self.name}: {sentence}")

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def methods(steps_only: bool = False) -> list[Integrator]:
    """All integrators, or those that take steps."""
    found = [integrators.find(name) for name in integrators.INTEGRATORS]
    return [method for method in found if not steps_only or method.advance is not None]


def all_systems() -> list[System]:
    """All systems, `n_body` with four bodies."""
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


def update(path: Path, table: Table) -> None:
    """Put a table between its markers in a Markdown file.

    Arguments:
        path: The file.
        table: What stands between `<!-- name -->` and `<!-- /name -->` from now on.

    Raises:
        PhysimError: The file has no such markers.
    """
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {table.name} -->", f"<!-- /{table.name} -->"
    if begin not in text or end not in text:
        raise PhysimError(f"update: {path} has no markers {begin} and {end}")
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    body = f"{begin}\n{table.title}:\n\n{table.markdown()}\n{end}"
    path.write_text(before + body + after, encoding="utf-8")


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1e}"


def _truth(full: bool) -> Table:
    """Conserved quantities of the default data sets."""
    table = Table(
        "truth",
        "Conserved quantities over 30 frames, worst of a data set, default integrator",
        [
            "data set",
            "integrator",
            "trajectories",
            "energy",
            "momentum",
            "angular momentum",
            "Laplace–Runge–Lenz",
            "closest at a frame",
        ],
    )
    n = 10_000 if full else 1000
    for system in all_systems():
        for paper in (True, False):
            found = conservation.worst(system, n, paper)
            name = f"{system.name}, {'paper' if paper else 'random parameters'}"
            numbers = [found.energy, found.momentum, found.spin, found.ellipse, found.closest]
            table.rows.append(
                [name, system.default_integrator, f"{n:,}", *(_number(value) for value in numbers)]
            )
            bound = 1e-11 if system.bodies > 2 else 1e-12
            table.check(found.energy < bound, f"{name}: energy error {found.energy:.1e}")
            for what, value in (
                ("momentum", found.momentum),
                ("angular momentum", found.spin),
                ("Laplace–Runge–Lenz vector", found.ellipse),
            ):
                table.check(not value > 1e-11, f"{name}: {what} changes by {value:.1e}")
    return table


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
            # The errors of the two adaptive methods meet rounding before their slope is straight.
            if method.adaptive and not abs(order - method.order) < 0.5:
                cells.append("(rounding)")
                continue
            cells.append(f"{order:.2f}")
            table.check(
                method.adaptive or abs(order - method.order) < 0.1,
                f"{method.name} on {system.name}: order {order:.2f}, expected {method.order}",
            )
        table.rows.append([method.name, str(method.order), *cells])
    return table


ENERGY_STEPS = 30, 300, 100_000
"""After how many steps the energy error is looked at."""

_ENERGY_DT = {"pendulum": 0.1, "double_pendulum": 0.02, "two_body": 0.1}


def gentle(system: System) -> studies.States:
    """A few states for long runs: the paper's set, the pendulums swinging and not going round.

    The angle of a pendulum that goes round grows, and loses a digit with every factor of ten.
    """
    states = studies.drawn(system, 5, paper=True, seed=3)
    calmer = {"pendulum": 0.7, "double_pendulum": 0.4}.get(system.name, 1.0)
    states.q[:] *= calmer
    states.p[:] *= calmer
    return states


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
        states = gentle(system)
        for method in methods(steps_only=True):
            if not method.fits(system, 0.0):
                continue
            errors = conservation.energy_errors(method, system, states, dt, checkpoints)
            table.rows.append(
                [
                    f"{name}, {dt}",
                    method.name,
                    "yes" if method.symplectic else "no",
                    *(_number(errors[steps]) for steps in checkpoints),
                ]
            )
            if method.symplectic:
                first, last = errors[checkpoints[1]], errors[checkpoints[2]]
                # Bounded, up to the walk of rounding errors.
                table.check(
                    last < 3 * first + 1e-11, f"{method.name} on {name}: {first:.1e} to {last:.1e}"
                )
    return table


def _structure(full: bool) -> Table:
    """Symplecticity and reversibility."""
    table = Table(
        "structure",
        "‖MᵀJM − J‖ of one step of 0.1, and distance from the start after 100 steps of 0.05 "
        "forward and 100 back; worst of all systems that fit",
        ["integrator", "symplectic", "‖MᵀJM − J‖", "reversible", "there and back"],
    )
    for method in methods():
        defects, returns = [], []
        for system in all_systems():
            if method.fits(system, 0.0):
                states = gentle(system)
                defects.append(conservation.symplectic_defect(method, system, states, 0.1))
                returns.append(conservation.return_error(method, system, states, 0.05, 100))
        table.rows.append(
            [
                method.name,
                "yes" if method.symplectic else "no",
                _number(max(defects)),
                "yes" if method.reversible else "no",
                _number(max(returns)),
            ]
        )
        if method.symplectic:
            table.check(max(defects) < 1e-10, f"{method.name}: defect {max(defects):.1e}")
        if method.reversible:
            table.check(max(returns) < 1e-11, f"{method.name}: returns within {max(returns):.1e}")
    return table


def _solvers(full: bool) -> Table:
    """The default integrators against SciPy and mpmath."""
    taylor = find_spec("mpmath") is not None
    table = Table(
        "solvers",
        "Largest difference in a stored coordinate over 30 frames",
        ["data set", "integrator", "SciPy DOP853, rtol 1e-13", "mpmath, Taylor, 22 digits"],
    )
    n = 20 if full else 3
    for system in all_systems():
        states = studies.drawn(system, n, paper=True)
        scipy = solvers.scipy_difference(system, states)
        mpmath = float("nan")
        # The Taylor method takes minutes for the wilder systems.
        if taylor and (full or system.name in ("mass_spring", "pendulum")):
            one = studies.drawn(system, 1, paper=True)
            mpmath = solvers.taylor_difference(system, one, (8, studies.FRAMES - 1))
        table.rows.append(
            [system.name, system.default_integrator, _number(scipy), _number(mpmath)]
        )
        table.check(scipy < 1e-9, f"{system.name}: {scipy:.1e} from SciPy")
        table.check(not mpmath > 1e-9, f"{system.name}: {mpmath:.1e} from mpmath")
    return table


_SUBSTEPS = {"leapfrog": 100, "yoshida4": 30, "kahan_li6": 10, "kahan_li8": 5, "rk4": 30}


def _costs(full: bool) -> Table:
    """Error against cost."""
    table = Table(
        "cost",
        "30 frames of the default set, parameters of the paper, on one core",
        [
            "system",
            "integrator",
            "steps a frame",
            "µs a trajectory",
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
            steps = "–" if method.advance is None else "own" if method.adaptive else str(substeps)
            table.rows.append(
                [
                    system.name,
                    name,
                    steps,
                    f"{found.microseconds:.1f}",
                    _number(found.energy),
                    _number(found.state),
                ]
            )
    return table
