"""Explicit Euler: for comparison only.

Order 1, one evaluation a step. Neither symplectic nor reversible: an oscillator gains the part
(ω dt)² of its energy every step. It is here because the HGN paper trains a model with it.

Reference: Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, section I.1.2.
"""

from __future__ import annotations

import math

from physim.fields import ADVANCE, kernel
from physim.integrators.integrator import Integrator


@kernel(ADVANCE)
def advance(dh_dq, dh_dp, params, friction, q, p, dt, substeps, work):
    """Equal steps over one frame interval."""
    d = q.size
    velocity, force = work[:d], work[d:]
    h = dt / substeps
    total = 0.0
    for _ in range(substeps):
        dh_dp(q, p, params, velocity)
        dh_dq(q, p, params, force)
        for i in range(d):
            q[i] += h * velocity[i]
            p[i] -= h * (force[i] + friction * velocity[i])
    for i in range(d):
        total += q[i] + p[i]
    return math.isfinite(total)


EULER = Integrator(
    name="euler",
    summary="explicit Euler; for comparison only, it gains energy",
    order=1,
    symplectic=False,
    reversible=False,
    separable_only=False,
    friction=True,
    adaptive=False,
    evaluations="1",
    advance=advance,
    work_size=lambda d: 2 * d,
    reference="Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, I.1.2",
)
