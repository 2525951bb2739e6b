"""Symplectic Euler: kick, then drift with the new momentum.

Order 1, symplectic, one gradient of V a step. Energy errors stay bounded. It can be inverted but
is not reversible: its inverse drifts first and kicks afterwards. Needs H = T(p) + V(q), as
otherwise the kick is an implicit equation.

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
    slope = work[:d]
    h = dt / substeps
    total = 0.0
    for _ in range(substeps):
        dh_dq(q, p, params, slope)
        for i in range(d):
            p[i] -= h * slope[i]
        dh_dp(q, p, params, slope)
        for i in range(d):
            q[i] += h * slope[i]
    for i in range(d):
        total += q[i] + p[i]
    return math.isfinite(total)


SYMPLECTIC_EULER = Integrator(
    name="symplectic_euler",
    summary="kick, then drift: the simplest symplectic method",
    order=1,
    symplectic=True,
    reversible=False,
    separable_only=True,
    friction=False,
    adaptive=False,
    evaluations="1",
    advance=advance,
    work_size=lambda d: d,
    reference="Hairer, Lubich and Wanner (2006), Geometric Numerical Integration, I.1.2",
)
