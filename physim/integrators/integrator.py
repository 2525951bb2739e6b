"""What an integrator offers and promises; tests measure every promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from physim.fields import Kernel
from physim.systems.system import System


@dataclass(frozen=True)
class Integrator:
    """A one-step method.

    Attributes:
        name: Its name in recipes and on the command line.
        summary: One line: what it is and when to use it.
        order: Global order of convergence; 0 for a closed form.
        symplectic: Whether one step preserves the symplectic form (without friction).
        reversible: Whether a step of −dt undoes a step of dt (without friction).
        separable_only: Whether it needs H = T(p) + V(q).
        friction: Whether it integrates dp/dt = −∂H/∂q − c ∂H/∂p.
        adaptive: Whether it chooses its own steps, at least `substeps` per frame; else it takes
            `substeps` equal ones.
        evaluations: Gradients of H per step, for tables.
        advance: Compiled `fields.ADVANCE`; None for the closed form, which each system brings
            itself.
        work_size: Length of the scratch array for d degrees of freedom.
        reference: Authors, year, title.
        gives_up: What else than a collision or a state that is not finite makes it give a
            trajectory up, one clause for errors; empty where nothing does.
    """

    name: str
    summary: str
    order: int
    symplectic: bool
    reversible: bool
    separable_only: bool
    friction: bool
    adaptive: bool
    evaluations: str
    advance: Kernel | None
    work_size: Callable[[int], int]
    reference: str
    gives_up: str = ""

    @property
    def exact(self) -> bool:
        """Whether its error is that of rounding: it chooses its steps, or takes none."""
        return self.adaptive or self.advance is None

    def fits(self, system: System, friction: float) -> bool:
        """Whether the method solves this system with this friction."""
        if self.advance is None and system.closed_form is None:
            return False
        if self.separable_only and not system.separable:
            return False
        return self.friction or friction == 0
