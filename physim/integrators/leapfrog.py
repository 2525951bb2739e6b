"""Leapfrog: the Störmer–Verlet method in kick-drift-kick form.

Order 2, symplectic, time-reversible; one new gradient of V a step, as the last kick's is kept from
step to step, and one more for each time at which the state is wanted.
Energy errors stay bounded instead of growing with time, as long as the step resolves the fastest
motion (for an oscillator of angular frequency ω it is stable below dt ω = 2). Needs H = T(p) +
V(q).

With friction the drift stands between two half steps of dp/dt = −c ∂H/∂p, each by the explicit
midpoint rule: still of order 2.

Also called velocity Verlet. Not the drift-kick-drift form, which has the same order and another
error, and not the leapfrog of Shampine (2009), a multistep method that is not symplectic.

Reference: Hairer, Lubich and Wanner (2003), "Geometric numerical integration illustrated by the
Störmer–Verlet method", Acta Numerica 12, section 1.
"""

from __future__ import annotations

import math

from physim.fields import ADVANCE, kernel, subroutine
from physim.integrators.integrator import Integrator


@subroutine
def _damp(dh_dp, params, friction, q, p, h, slope, middle):
    """A step h of dp/dt = −c ∂H/∂p."""
    dh_dp(q, p, params, slope)
    for i in range(p.size):
        middle[i] = p[i] - 0.5 * h * friction * slope[i]
    dh_dp(q, middle, params, slope)
    for i in range(p.size):
        p[i] -= h * friction * slope[i]


@kernel(ADVANCE)
def advance(dh_dq, dh_dp, params, friction, q, p, dt, substeps, work):
    """Equal steps over one frame interval."""
    d = q.size
    slope, middle = work[:d], work[d:]
    h = dt / substeps
    dh_dq(q, p, params, slope)
    for _ in range(substeps):
        for i in range(d):
            p[i] -= 0.5 * h * slope[i]
        if friction != 0.0:
            _damp(dh_dp, params, friction, q, p, 0.5 * h, slope, middle)
        dh_dp(q, p, params, slope)
        for i in range(d):
            q[i] += h * slope[i]
        if friction != 0.0:
            _damp(dh_dp, params, friction, q, p, 0.5 * h, slope, middle)
        dh_dq(q, p, params, slope)
        for i in range(d):
            p[i] -= 0.5 * h * slope[i]
    total = 0.0
    for i in range(d):
        total += q[i] + p[i]
    return math.isfinite(total)


LEAPFROG = Integrator(
    name="leapfrog",
    summary="Störmer–Verlet, kick-drift-kick; what the HGN paper learns with",
    order=2,
    symplectic=True,
    reversible=True,
    separable_only=True,
    friction=True,
    adaptive=False,
    evaluations="1",
    advance=advance,
    work_size=lambda d: 2 * d,
    reference="Hairer, Lubich and Wanner (2003), Acta Numerica 12, section 1",
)
