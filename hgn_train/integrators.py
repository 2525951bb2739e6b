"""Differentiable integrators: from a state (q, p) and a Hamiltonian to a rollout.

The equations are dq/dt = ∂H/∂p and dp/dt = −∂H/∂q. A Hamiltonian offers its two gradients as plain
forward operations, so that a rollout is a fixed loop without autograd calls inside: it can be
differentiated, compiled or captured as a whole.

| integrator | order | symplectic | reversible | for H = T(p) + V(q) only | gradients per step |
| --- | --- | --- | --- | --- | --- |
| euler | 1 | no | no | no | 2 |
| symplectic_euler | 1 | yes | no | yes | 2 |
| leapfrog | 2 | yes | yes | yes | 2 |
| yoshida4 | 4 | yes | yes | yes | 6 |
| rk4 | 4 | no | no | no | 8 |
| implicit_midpoint | 2 | yes | yes | no | 16 |

Of a joint H one evaluation gives both gradients, so that it needs half as many.

*Reversible* means that a step of −dt undoes a step of dt. `implicit_midpoint` keeps both promises
up to what its fixed-point iteration leaves, about (dt L / 2)^8 for a vector field of Lipschitz
constant L.
"""

# ruff: noqa: UP037 - shapes are strings
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from physim.errors import PhysimError, unknown


class Hamiltonian(Protocol):
    """What an integrator needs to know of H."""

    @property
    def is_separable(self) -> bool:
        """Whether H(q, p) = T(p) + V(q), so that `dq` ignores p and `dp` ignores q."""
        ...

    def dq(self, q: Tensor, p: Tensor) -> Tensor:
        """∂H/∂q, of the shape of q."""
        ...

    def dp(self, q: Tensor, p: Tensor) -> Tensor:
        """∂H/∂p, of the shape of p."""
        ...

    def gradients(self, q: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """∂H/∂q and ∂H/∂p of the same state, which one evaluation gives where H is joint."""
        ...


KICK, DRIFT = "kick", "drift"


@dataclass(frozen=True)
class Moves:
    """A step for H = T(p) + V(q) as kicks p ← p − c dt V'(q) and drifts q ← q + c dt T'(p).

    Attributes:
        parts: Kick or drift, each with its share c of dt.
        together: Whether all slopes are those of the state before the step; else a move sees what
            those before it have moved, and the step is a splitting.
    """

    parts: tuple[tuple[str, float], ...]
    together: bool = False

    def uses(self, steps: int) -> list[list[tuple[str, float, bool]]]:
        """Kicks and drifts of each step, and whether each makes its slope or has it from before.

        Arguments:
            steps: How many steps.

        Example:
            >>> [new for _, _, new in LEAPFROG.uses(2)[1]]
            [False, True, True]
        """
        found: list[list[tuple[str, float, bool]]] = []
        fresh = {KICK: False, DRIFT: False}
        for _ in range(steps):
            found.append([])
            for way, share in self.parts:
                found[-1].append((way, share, self.together or not fresh[way]))
                fresh = {way: True, (DRIFT if way == KICK else KICK): False}
        return found


Step = Callable[
    [Hamiltonian, Tensor, Tensor, "Tensor | float", "Tensor | None"],
    tuple[Tensor, Tensor, "Tensor | None"],
]


@dataclass(frozen=True)
class Integrator:
    """One way to advance a state by dt, and what it promises.

    Attributes:
        name: As on the command line.
        order: The global error falls with dt to this power.
        symplectic: The Jacobian M of a step fulfils Mᵀ J M = J.
        reversible: A step of −dt undoes a step of dt.
        needs_separable: Right only for H = T(p) + V(q).
        step: (hamiltonian, q, p, dt, kept) to (q, p, kept), where `kept` is ∂H/∂q at the returned
            q if the next step can use it, else None.
        moves: The step as kicks and drifts, where it is one.
    """

    name: str
    order: int
    symplectic: bool
    reversible: bool
    needs_separable: bool
    step: Step
    moves: Moves | None = None


def _euler(
    hamiltonian: Hamiltonian, q: Tensor, p: Tensor, dt: Tensor | float, kept: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    dq, dp = hamiltonian.gradients(q, p)
    return q + dt * dp, p - dt * dq, None


def _symplectic_euler(
    hamiltonian: Hamiltonian, q: Tensor, p: Tensor, dt: Tensor | float, kept: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Momentum first: the kick at the old q, then the drift with the new p."""
    p = p - dt * hamiltonian.dq(q, p)
    return q + dt * hamiltonian.dp(q, p), p, None


def _leapfrog(
    hamiltonian: Hamiltonian, q: Tensor, p: Tensor, dt: Tensor | float, kept: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Kick, drift, kick; the last gradient of V is kept for the next step."""
    dq = hamiltonian.dq(q, p) if kept is None else kept
    p = p - dt / 2 * dq
    q = q + dt * hamiltonian.dp(q, p)
    dq = hamiltonian.dq(q, p)
    return q, p - dt / 2 * dq, dq


_YOSHIDA_OUTER = 1 / (2 - 2 ** (1 / 3))
YOSHIDA4 = (_YOSHIDA_OUTER, 1 - 2 * _YOSHIDA_OUTER, _YOSHIDA_OUTER)
"""Lengths of the three leapfrog steps that make one of order 4; they sum to 1."""


LEAPFROG = Moves(((KICK, 0.5), (DRIFT, 1.0), (KICK, 0.5)))
"""Half a kick, a drift, half a kick."""


def _yoshida4(
    hamiltonian: Hamiltonian, q: Tensor, p: Tensor, dt: Tensor | float, kept: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    for share in YOSHIDA4:
        q, p, kept = _leapfrog(hamiltonian, q, p, share * dt, kept)
    return q, p, kept


def _rk4(
    hamiltonian: Hamiltonian, q: Tensor, p: Tensor, dt: Tensor | float, kept: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The classical Runge-Kutta method."""

    def slope(q: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        dq, dp = hamiltonian.gradients(q, p)
        return dp, -dq

    q1, p1 = slope(q, p)
    q2, p2 = slope(q + dt / 2 * q1, p + dt / 2 * p1)
    q3, p3 = slope(q + dt / 2 * q2, p + dt / 2 * p2)
    q4, p4 = slope(q + dt * q3, p + dt * p3)
    return q + dt / 6 * (q1 + 2 * q2 + 2 * q3 + q4), p + dt / 6 * (p1 + 2 * p2 + 2 * p3 + p4), None


def _midpoint(iterations: int) -> Step:
    """The implicit midpoint rule, solved by a fixed number of fixed-point iterations.

    The number is fixed, so that the loop has no shape or length that depends on data.
    """

    def step(
        hamiltonian: Hamiltonian, q: Tensor, p: Tensor, dt: Tensor | float, kept: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        middle_q, middle_p = q, p
        for _ in range(iterations):
            dq, dp = hamiltonian.gradients(middle_q, middle_p)
            middle_q, middle_p = q + dt / 2 * dp, p - dt / 2 * dq
        return 2 * middle_q - q, 2 * middle_p - p, None

    return step


def implicit_midpoint(iterations: int) -> Integrator:
    """The implicit midpoint rule with another number of fixed-point iterations.

    Arguments:
        iterations: Evaluations of both gradients per step; each multiplies the residual by about
            dt L / 2.

    Returns:
        The integrator.
    """
    return Integrator("implicit_midpoint", 2, True, True, False, _midpoint(iterations))


INTEGRATORS: dict[str, Integrator] = {
    integrator.name: integrator
    for integrator in (
        Integrator(
            "euler",
            1,
            False,
            False,
            False,
            _euler,
            Moves(((KICK, 1.0), (DRIFT, 1.0)), together=True),
        ),
        Integrator(
            "symplectic_euler",
            1,
            True,
            False,
            True,
            _symplectic_euler,
            Moves(((KICK, 1.0), (DRIFT, 1.0))),
        ),
        Integrator("leapfrog", 2, True, True, True, _leapfrog, LEAPFROG),
        Integrator(
            "yoshida4",
            4,
            True,
            True,
            True,
            _yoshida4,
            Moves(tuple((way, c * share) for share in YOSHIDA4 for way, c in LEAPFROG.parts)),
        ),
        Integrator("rk4", 4, False, False, False, _rk4),
        implicit_midpoint(8),
    )
}


def find(name: str, separable: bool = True) -> Integrator:
    """The integrator of that name.

    Arguments:
        name: One of `INTEGRATORS`.
        separable: Whether the Hamiltonian that it is for is a sum T(p) + V(q).

    Returns:
        The integrator.

    Raises:
        PhysimError: There is none of that name, or it is wrong for a Hamiltonian that does not
            separate.

    Example:
        >>> find("leapfrog").order
        2
    """
    if name not in INTEGRATORS:
        raise PhysimError(unknown("integrator", name, INTEGRATORS))
    integrator = INTEGRATORS[name]
    check(integrator, separable)
    return integrator


def check(integrator: Integrator, separable: bool) -> None:
    """Refuse an integrator that is wrong for a Hamiltonian.

    Arguments:
        integrator: Which.
        separable: Whether the Hamiltonian is a sum T(p) + V(q).

    Raises:
        PhysimError: It is right only for those that are.
    """
    if integrator.needs_separable and not separable:
        fits = [entry.name for entry in INTEGRATORS.values() if not entry.needs_separable]
        raise PhysimError(
            f"integrator: got '{integrator.name}', which needs H = T(p) + V(q); "
            f"for a joint Hamiltonian expected one of {', '.join(fits)}"
        )


def rollout(
    integrator: Integrator,
    hamiltonian: Hamiltonian,
    q: Float[Tensor, "batch *state"],
    p: Float[Tensor, "batch *state"],
    dt: float | Float[Tensor, " batch"],
    forward: int,
    backward: int = 0,
) -> tuple[Float[Tensor, "batch time *state"], Float[Tensor, "batch time *state"]]:
    """States before and after a given one, in chronological order.

    Arguments:
        integrator: How to step.
        hamiltonian: What to step along.
        q: Positions at the given time.
        p: Momenta at the given time.
        dt: Time between states; one number, or one per trajectory. Negative runs time backward.
        forward: Number of states after the given one.
        backward: Number of states before it, reached with steps of −dt.

    Returns:
        q and p at `backward` + 1 + `forward` times; the given state is at index `backward`.

    Raises:
        PhysimError: The integrator is wrong for a Hamiltonian that does not separate.
    """
    check(integrator, hamiltonian.is_separable)
    if isinstance(dt, Tensor):
        dt = dt.reshape(-1, *[1] * (q.ndim - 1))
    later = _states(integrator, hamiltonian, q, p, dt, forward)
    earlier = _states(integrator, hamiltonian, q, p, -dt, backward)
    states = [*reversed(earlier), (q, p), *later]
    return torch.stack([q for q, _ in states], 1), torch.stack([p for _, p in states], 1)


def _states(
    integrator: Integrator,
    hamiltonian: Hamiltonian,
    q: Tensor,
    p: Tensor,
    dt: Tensor | float,
    steps: int,
) -> list[tuple[Tensor, Tensor]]:
    states = []
    kept: Tensor | None = None
    for _ in range(steps):
        q, p, kept = integrator.step(hamiltonian, q, p, dt, kept)
        states.append((q, p))
    return states
