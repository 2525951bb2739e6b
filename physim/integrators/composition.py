"""Symmetric compositions of leapfrog, of orders 4, 6 and 8.

A step h is a palindrome of leapfrog steps w₁h, w₂h, …, w₁h with Σ w = 1, some of them backward,
chosen so that the errors of lower order cancel. Symplectic and reversible like leapfrog itself;
one gradient of V for each w, and one more for each time at which the state is wanted. Needs
H = T(p) + V(q).

References: Yoshida (1990), "Construction of higher order symplectic integrators" (order 4, found
at the same time by Forest and Ruth); Kahan and Li (1997), "Composition constants for raising the
orders of unconventional schemes for ordinary differential equations" (order 6 with 9 and order 8
with 17 steps).
"""

from __future__ import annotations

import math

import numpy as np

from physim.fields import ADVANCE, Kernel, kernel
from physim.integrators.integrator import Integrator

WEIGHTS = {
    4: [1.0 / (2.0 - 2.0 ** (1.0 / 3.0))],
    6: [
        0.39216144400731413927925056,
        0.33259913678935943859974864,
        -0.70624617255763935980996482,
        0.08221359629355080023149045,
    ],
    8: [
        0.13020248308889008087881763,
        0.56116298177510838456196441,
        -0.38947496264484728640807860,
        0.15884190655515560089621075,
        -0.39590389413323757733623154,
        0.18453964097831570709183254,
        0.25837438768632204729397911,
        0.29501172360931029887096624,
    ],
}
"""The weights before the middle one, by order; the middle one makes their sum 1."""


def palindrome(order: int) -> np.ndarray:
    """All weights of a step.

    Arguments:
        order: 4, 6 or 8.

    Returns:
        (3,), (9,) or (17,) weights.
    """
    half = WEIGHTS[order]
    return np.array([*half, 1.0 - 2.0 * math.fsum(half), *half[::-1]])


def _kernel(order: int) -> Kernel:
    weights = palindrome(order)

    @kernel(ADVANCE)
    def advance(dh_dq, dh_dp, params, friction, q, p, dt, substeps, work):
        """Equal steps over one frame interval."""
        d = q.size
        slope = work[:d]
        dh_dq(q, p, params, slope)
        for _ in range(substeps):
            for weight in weights:
                h = weight * dt / substeps
                for i in range(d):
                    p[i] -= 0.5 * h * slope[i]
                dh_dp(q, p, params, slope)
                for i in range(d):
                    q[i] += h * slope[i]
                dh_dq(q, p, params, slope)
                for i in range(d):
                    p[i] -= 0.5 * h * slope[i]
        total = 0.0
        for i in range(d):
            total += q[i] + p[i]
        return math.isfinite(total)

    return advance


def _integrator(name: str, order: int, summary: str, reference: str) -> Integrator:
    return Integrator(
        name=name,
        summary=summary,
        order=order,
        symplectic=True,
        reversible=True,
        separable_only=True,
        friction=False,
        adaptive=False,
        evaluations=str(2 * len(WEIGHTS[order]) + 1),
        advance=_kernel(order),
        work_size=lambda d: d,
        reference=reference,
    )


YOSHIDA4 = _integrator(
    "yoshida4",
    4,
    "three leapfrog steps, one of them backward",
    "Yoshida (1990); Forest and Ruth (1990)",
)
KAHAN_LI6 = _integrator(
    "kahan_li6", 6, "nine leapfrog steps; long runs at high accuracy", "Kahan and Li (1997)"
)
KAHAN_LI8 = _integrator(
    "kahan_li8", 8, "seventeen leapfrog steps; long runs at the highest", "Kahan and Li (1997)"
)
