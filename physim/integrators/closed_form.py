"""The exact solution, where a system brings one.

No steps and no error that grows with them: every frame is computed from the initial state alone,
to about 1e-13. The formulas stand in the system's file.
"""

from __future__ import annotations

from physim.integrators.integrator import Integrator

CLOSED_FORM = Integrator(
    name="closed_form",
    summary="the exact solution: mass_spring, pendulum and two_body, without friction",
    order=0,
    symplectic=True,
    reversible=True,
    separable_only=False,
    friction=False,
    adaptive=False,
    evaluations="0",
    advance=None,
    work_size=lambda d: 0,
    reference="see each system",
)
