"""The classical Runge–Kutta method of order 4.

Four evaluations per step, for every Hamiltonian and with friction. Accurate over short times;
neither symplectic nor reversible, so that the energy of an oscillator decays steadily, by (ω
dt)⁶/72 a step.

Reference: Hairer, Nørsett and Wanner (1993), Solving Ordinary Differential Equations I, section
II.1.
"""

from __future__ import annotations

import math

from physim.fields import ADVANCE, kernel
from physim.integrators.integrator import Integrator


@kernel(ADVANCE)
def advance(dh_dq, dh_dp, params, friction, q, p, dt, substeps, work):
    """Equal steps over one frame interval."""
    d = q.size
    rows = work.reshape((6, d))
    velocity, force, stage_q, stage_p, sum_q, sum_p = (
        rows[0],
        rows[1],
        rows[2],
        rows[3],
        rows[4],
        rows[5],
    )
    h = dt / substeps
    total = 0.0
    for _ in range(substeps):
        stage_q[:] = q
        stage_p[:] = p
        sum_q[:] = 0.0
        sum_p[:] = 0.0
        for stage in range(4):
            dh_dp(stage_q, stage_p, params, velocity)
            dh_dq(stage_q, stage_p, params, force)
            weight = 1.0 if stage == 0 or stage == 3 else 2.0
            ahead = h if stage == 2 else 0.5 * h
            for i in range(d):
                force[i] = -force[i] - friction * velocity[i]
                sum_q[i] += weight * velocity[i]
                sum_p[i] += weight * force[i]
                stage_q[i] = q[i] + ahead * velocity[i]
                stage_p[i] = p[i] + ahead * force[i]
        for i in range(d):
            q[i] += h / 6.0 * sum_q[i]
            p[i] += h / 6.0 * sum_p[i]
    for i in range(d):
        total += q[i] + p[i]
    return math.isfinite(total)


RK4 = Integrator(
    name="rk4",
    summary="classical Runge–Kutta; accurate for short runs, loses energy in long ones",
    order=4,
    symplectic=False,
    reversible=False,
    separable_only=False,
    friction=True,
    adaptive=False,
    evaluations="4",
    advance=advance,
    work_size=lambda d: 6 * d,
    reference="Hairer, Nørsett and Wanner (1993), Solving Ordinary Differential Equations I, II.1",
)
