"""Gauss–Radau collocation of order 15 that chooses its own steps. The reference.

Within a step the slopes are a polynomial in time of degree 7 through the start and seven nodes,

    dy/dt (t₀ + s h) = f₀ + b₀ s + b₁ s² + … + b₆ s⁷,

whose coefficients are found by iteration: predicted from the step before, corrected node by node
until nothing changes in the last digit. The integral over the whole step is of order 15, twice as
much as the polynomial itself; the size of b₆ tells whether the step was short enough. It asks only
for the gradients of H, so that it serves Hamiltonians that do not separate and friction alike, in
either direction of time. A frame interval is walked in equal steps that end exactly on the frame;
in a close encounter they shrink as far as it takes. What rounding cuts off a sum over steps is
carried to the next (compensated summation). Errors stay at the rounding of double precision.

This is the idea of the well-known integrator IAS15 with two differences: first-order equations, as
friction and the double pendulum ask for, and no divided differences, as the residual at a node
gives the correction of all coefficients at once.

References: Everhart (1985), "An efficient integrator that uses Gauss–Radau spacings"; Rein and
Spiegel (2015), "IAS15: a fast, adaptive, high-order integrator for gravitational dynamics,
accurate to machine precision over a billion orbits".
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from physim.fields import ADVANCE, kernel, subroutine
from physim.integrators.integrator import Integrator

NODES = np.array(
    [
        0.0,
        0.0562625605369221464656522,
        0.1802406917368923649875799,
        0.3526247171131696373739078,
        0.5471536263305553830014486,
        0.7342101772154105315232106,
        0.8853209468390957680903598,
        0.9775206135612875018911745,
    ]
)
"""Where the slopes are evaluated within a step, the first at its start."""

TOLERANCE = 1e-7
"""Largest h b₆ relative to the state. The error of a step is of the order of its square."""

_STAGES = 8
_MAX_ITERATIONS = 25
_MAX_STEPS = 100_000
_ROUNDING = 3e-16
_SLOWEST = 0.003


def _tableau() -> tuple[np.ndarray, np.ndarray]:
    """The integrals of the Lagrange polynomials of the nodes and their leading coefficients.

    Returns:
        (A, e): A, (9, 8), integrals from 0 to each node and, last, to 1; e, (8,).
    """
    leading = np.empty(_STAGES)
    integrals = np.empty((_STAGES + 1, _STAGES))
    for j in range(_STAGES):
        others = [Fraction(node) for i, node in enumerate(NODES) if i != j]
        polynomial = [Fraction(1)]
        for root in others:
            shifted = [Fraction(0), *polynomial]
            polynomial = [
                up - root * here
                for up, here in zip(shifted, [*polynomial, Fraction(0)], strict=True)
            ]
        scale = math.prod((Fraction(NODES[j]) - root for root in others), start=Fraction(1))
        leading[j] = float(1 / scale)
        for i, end in enumerate([*NODES, 1.0]):
            total = sum(c * Fraction(end) ** (k + 1) / (k + 1) for k, c in enumerate(polynomial))
            integrals[i, j] = float(total / scale)
    return integrals, leading


_A, _LEADING = _tableau()


@subroutine
def _combine(factor, a, n, f, out):
    """Factor Σ_j a[n, j] f[j], written to `out`."""
    a0, a1, a2, a3 = factor * a[n, 0], factor * a[n, 1], factor * a[n, 2], factor * a[n, 3]
    a4, a5, a6, a7 = factor * a[n, 4], factor * a[n, 5], factor * a[n, 6], factor * a[n, 7]
    for i in range(out.size):
        out[i] = (a0 * f[0, i] + a1 * f[1, i] + a2 * f[2, i] + a3 * f[3, i]) + (
            a4 * f[4, i] + a5 * f[5, i] + a6 * f[6, i] + a7 * f[7, i]
        )


@subroutine
def _lagrange(ratio, weights):
    """The values of the last step's Lagrange polynomials at the nodes of the next, (8, 8)."""
    for n in range(_STAGES):
        t = 1.0 + ratio * NODES[n]
        product = 1.0
        for j in range(_STAGES):
            product *= t - NODES[j]
        for j in range(_STAGES):
            weights[n, j] = product * _LEADING[j] / (t - NODES[j])


@subroutine
def _predict(weights, f, predicted, fresh):
    """Slopes of the next step: the last polynomial continued, and off by as much as last time."""
    for n in range(_STAGES):
        _combine(1.0, weights, n, f, fresh[n])
    for n in range(_STAGES):
        for i in range(f.shape[1]):
            f[n, i] = fresh[n, i] + (f[n, i] - predicted[n, i])
            predicted[n, i] = fresh[n, i]


@subroutine
def _add_step(h, y, carry, f):
    """Add the integral over a step; `carry` takes the digits that do not fit into `y`."""
    for i in range(y.size):
        mean = 0.0
        for j in range(_STAGES):
            mean += _A[_STAGES, j] * f[j, i]
        change = carry[i] + h * mean
        before = y[i]
        y[i] = before + change
        carry[i] = change - (y[i] - before)


@subroutine
def _larger(a, b):
    """The larger one; not a number as soon as one of them is not, unlike `max`."""
    return b if b > a or b != b else a


@subroutine
def _largest(values):
    found = 0.0
    for value in values:
        found = _larger(found, abs(value))
    return found


@subroutine
def _error(weight_q, weight_p, f):
    """The leading coefficient of the polynomial through the slopes, relative to the state."""
    found = 0.0
    d = f.shape[1] // 2
    for i in range(2 * d):
        total = 0.0
        for j in range(_STAGES):
            total += _LEADING[j] * f[j, i]
        found = _larger(found, (weight_q if i < d else weight_p) * abs(total))
    return found


@kernel(ADVANCE)
def advance(dh_dq, dh_dp, params, friction, q, p, dt, substeps, work):
    """Steps of its own choice, at most dt/substeps long, that end on the frame.

    `work`: the step wished for; the step that the slopes belong to, 0 for none; the factor by
    which the iteration last converged; the ratio of steps that the weights of the prediction are
    for; these, 8 × 8; then, each 2d long, state, carried digits, stage, slopes there, largest
    changes, and, 8 × 2d, slopes at the nodes, what was predicted for them, and room for the next
    prediction.
    """
    d = q.size
    weights = work[4:68].reshape((_STAGES, _STAGES))
    rows = work[68:].reshape((5 + 3 * _STAGES, 2 * d))
    y, carry, stage, slope, worst = rows[0], rows[1], rows[2], rows[3], rows[4]
    f, predicted, fresh = rows[5:13], rows[13:21], rows[21:29]
    y_q, stage_q, slope_q = y[:d], stage[:d], slope[:d]
    y_p, stage_p, slope_p = y[d:], stage[d:], slope[d:]
    y_q[:] = q
    y_p[:] = p
    ceiling = abs(dt) / abs(substeps)
    fixed = substeps < 0
    if work[0] == 0.0:
        work[0] = ceiling
    done = 0.0
    for _ in range(_MAX_STEPS):
        left = abs(dt) - done
        pieces = math.ceil(left / (ceiling if fixed else min(work[0], ceiling)) - 1e-9)
        used = left / pieces
        h = math.copysign(used, dt)
        rate = 1.0
        predictable = work[1] != 0.0
        if predictable:
            ratio = h / work[1]
            if abs(ratio - work[3]) > 1e-6:
                _lagrange(ratio, weights)
                predicted[:] = f
                work[3] = ratio
            else:
                rate = work[2]
            _predict(weights, f, predicted, fresh)
        dh_dp(y_q, y_p, params, slope_q)
        dh_dq(y_q, y_p, params, slope_p)
        for i in range(d):
            f[0, i] = slope_q[i]
            f[0, d + i] = -slope_p[i] - friction * slope_q[i]
        if not predictable:
            f[1:] = f[0]
        scale = max(_largest(y_q), used * _largest(slope_q))
        weight_q = used / scale if scale > 0.0 else 0.0
        scale = max(_largest(y_p), used * _largest(slope_p))
        weight_p = used / scale if scale > 0.0 else 0.0
        change = math.inf
        for iteration in range(_MAX_ITERATIONS):
            before = change
            worst[:] = 0.0
            for n in range(1, _STAGES):
                _combine(h, _A, n, f, stage)
                for i in range(2 * d):
                    stage[i] = y[i] + (carry[i] + stage[i])
                dh_dp(stage_q, stage_p, params, slope_q)
                # The new velocity moves the node at once, so that an iteration gains twice as
                # much.
                step = h * _A[n, n]
                for i in range(d):
                    shift = slope_q[i] - f[n, i]
                    f[n, i] = slope_q[i]
                    stage_q[i] += step * shift
                    worst[i] = _larger(worst[i], abs(shift))
                dh_dq(stage_q, stage_p, params, slope_p)
                for i in range(d):
                    force = -slope_p[i] - friction * slope_q[i]
                    shift = force - f[n, d + i]
                    f[n, d + i] = force
                    worst[d + i] = _larger(worst[d + i], abs(shift))
            change = _larger(weight_q * _largest(worst[:d]), weight_p * _largest(worst[d:]))
            if iteration > 0:
                rate = max(change / before, _SLOWEST) if before > 0.0 else _SLOWEST
            if not change * rate > _ROUNDING or (change >= before and change < 1e-13):
                break
        work[2] = rate
        error = _error(weight_q, weight_p, f)
        growth = 4.0
        if not (math.isfinite(error) and change * rate < 1e-11):
            growth = 0.25
        elif error > 0.0:
            growth = min(4.0, 0.9 * (TOLERANCE / error) ** 0.125)
        if growth >= 0.8 or (fixed and math.isfinite(error)):
            _add_step(h, y, carry, f)
            done += used
            work[0] = used * growth
            work[1] = h
            if pieces == 1:
                q[:] = y_q
                p[:] = y_p
                return True
        else:
            work[0] = used * max(growth, 0.1)
            work[1] = 0.0
            work[3] = 0.0
            if fixed or used <= 1e-14 * abs(dt):
                return False
    return False


GAUSS_RADAU = Integrator(
    name="gauss_radau",
    summary="adaptive collocation of order 15: the reference, for every system and friction",
    order=15,
    symplectic=False,
    reversible=False,
    separable_only=False,
    friction=True,
    adaptive=True,
    evaluations="about 15, steps of its own choice",
    advance=advance,
    work_size=lambda d: 68 + 58 * d,
    reference="Rein and Spiegel (2015), IAS15; Everhart (1985)",
)
