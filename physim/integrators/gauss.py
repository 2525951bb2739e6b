"""Gauss–Legendre methods: implicit midpoint (order 2) and its siblings of orders 4 and 6.

Collocation at s Gauss points has order 2s and is symplectic and reversible for every Hamiltonian,
separable or not: the methods for long runs of the double pendulum. The stages are found by
iteration to the last digit, since a symplectic method is one only as far as its equations are
solved; where it does not converge the step is too long, and the trajectory is given up.

Reference: Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, sections II.1.3,
IV.2.1 and VIII.6.
"""

from __future__ import annotations

import math

import numpy as np

from physim.fields import ADVANCE, Kernel, kernel
from physim.integrators.integrator import Integrator

_MAX_ITERATIONS = 200


def tableau(stages: int) -> tuple[np.ndarray, np.ndarray]:
    """The coefficients of the method.

    Arguments:
        stages: Number of Gauss points, s.

    Returns:
        (A, b), (s, s) and (s,): integrals of the Lagrange polynomials of the points on [0, 1], to
        each point and to 1.
    """
    points, weights = np.polynomial.legendre.leggauss(stages)
    nodes = 0.5 * (points + 1.0)
    powers = np.arange(1, stages + 1)
    vandermonde = nodes[:, None] ** (powers - 1)
    a = (nodes[:, None] ** powers / powers) @ np.linalg.inv(vandermonde)
    return np.ascontiguousarray(a), 0.5 * weights


def _kernel(stages: int) -> Kernel:
    a, b = tableau(stages)

    @kernel(ADVANCE)
    def advance(dh_dq, dh_dp, params, friction, q, p, dt, substeps, work):
        """Equal steps over one frame interval."""
        d = q.size
        rows = work.reshape((3 + stages, 2, d))
        stage, slope = rows[0], rows[1]
        f, carry = rows[2 : 2 + stages], rows[2 + stages]
        h = dt / substeps
        for _ in range(substeps):
            dh_dp(q, p, params, slope[0])
            dh_dq(q, p, params, slope[1])
            for j in range(stages):
                for i in range(d):
                    f[j, 0, i] = slope[0, i]
                    f[j, 1, i] = -slope[1, i] - friction * slope[0, i]
            before = math.inf
            for iteration in range(_MAX_ITERATIONS):
                change = 0.0
                scale = 0.0
                for k in range(stages):
                    for i in range(d):
                        stage[0, i] = q[i]
                        stage[1, i] = p[i]
                        for j in range(stages):
                            stage[0, i] += h * a[k, j] * f[j, 0, i]
                            stage[1, i] += h * a[k, j] * f[j, 1, i]
                    dh_dp(stage[0], stage[1], params, slope[0])
                    dh_dq(stage[0], stage[1], params, slope[1])
                    for i in range(d):
                        slope[1, i] = -slope[1, i] - friction * slope[0, i]
                        for half in range(2):
                            change = max(change, abs(slope[half, i] - f[k, half, i]))
                            scale = max(scale, abs(slope[half, i]))
                            f[k, half, i] = slope[half, i]
                # As long as it improves: what then is left is rounding, or no convergence.
                if change == 0.0 or (change >= before and change <= 1e-9 * scale):
                    break
                if not math.isfinite(change) or iteration == _MAX_ITERATIONS - 1:
                    return False
                before = change
            for i in range(d):
                for half in range(2):
                    state = q if half == 0 else p
                    step = 0.0
                    for j in range(stages):
                        step += b[j] * f[j, half, i]
                    step = h * step + carry[half, i]
                    old = state[i]
                    state[i] = old + step
                    carry[half, i] = step - (state[i] - old)
        return True

    return advance


def _integrator(name: str, stages: int, summary: str) -> Integrator:
    return Integrator(
        name=name,
        summary=summary,
        order=2 * stages,
        symplectic=True,
        reversible=True,
        separable_only=False,
        friction=True,
        adaptive=False,
        evaluations=f"{stages} an iteration, 5 to 15 iterations",
        advance=_kernel(stages),
        work_size=lambda d: (3 + stages) * 2 * d,
        reference="Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, II.1.3",
        gives_up="a step is too long for its equations to be solved",
    )


IMPLICIT_MIDPOINT = _integrator(
    "implicit_midpoint", 1, "symplectic for every Hamiltonian, separable or not"
)
GAUSS4 = _integrator("gauss4", 2, "two Gauss points; symplectic for every Hamiltonian")
GAUSS6 = _integrator("gauss6", 3, "three Gauss points; long runs of the double pendulum")
