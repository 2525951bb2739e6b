"""DOP853: an explicit Runge–Kutta method of order 8 that chooses its own steps.

Twelve stages, an error estimate from embedded formulas of orders 5 and 3, step sizes from its
eighth root. It asks only for the gradients of H, so that it serves Hamiltonians that do not
separate and friction alike, in either direction of time. A frame interval is walked in steps that
end exactly on the frame; in a close encounter they shrink as far as it takes. The last digits of
every sum over steps are carried along (compensated summation), which keeps the rounding error of
long runs down.

Not symplectic: the energy drifts, but at the tolerance used here by parts in 1e-15 a step.

The tolerance is relative to the largest position and the largest momentum of the state, so that
units do not matter.

References: Hairer, Nørsett and Wanner (1993), Solving Ordinary Differential Equations I, section
II.5 (method and error estimate); Kahan (1965), "Further remarks on reducing truncation errors".
"""

from __future__ import annotations

import math

import numpy as np

from physim.fields import ADVANCE, kernel, subroutine
from physim.integrators.integrator import Integrator

TOLERANCE = 1e-14
"""Largest estimated error of a step, relative to the state."""

_STAGES = 12
_MAX_STEPS = 100_000
_STEPS_MORE = 10_000_000
_SLOWER = 100.0
"""An interval may take `_MAX_STEPS`, and `_SLOWER` times as many as it were of the first one's
length, but at most `_STEPS_MORE` more: long ones go through, a binary that spirals in ends."""

_MANY = 1000
"""After so many steps what rounding cut off the time that has passed is made good."""

# The nonzero entries of the tableau, row by row, their columns, and where each row begins.
_A = np.array(
    [
        0.05260015195876773,
        0.0197250569845379,
        0.0591751709536137,
        0.02958758547680685,
        0.08876275643042054,
        0.2413651341592667,
        -0.8845494793282861,
        0.924834003261792,
        0.037037037037037035,
        0.17082860872947386,
        0.12546768756682242,
        0.037109375,
        0.17025221101954405,
        0.06021653898045596,
        -0.017578125,
        0.03709200011850479,
        0.17038392571223998,
        0.10726203044637328,
        -0.015319437748624402,
        0.008273789163814023,
        0.6241109587160757,
        -3.3608926294469414,
        -0.868219346841726,
        27.59209969944671,
        20.154067550477894,
        -43.48988418106996,
        0.47766253643826434,
        -2.4881146199716677,
        -0.590290826836843,
        21.230051448181193,
        15.279233632882423,
        -33.28821096898486,
        -0.020331201708508627,
        -0.9371424300859873,
        5.186372428844064,
        1.0914373489967295,
        -8.149787010746927,
        -18.52006565999696,
        22.739487099350505,
        2.4936055526796523,
        -3.0467644718982196,
        2.273310147516538,
        -10.53449546673725,
        -2.0008720582248625,
        -17.9589318631188,
        27.94888452941996,
        -2.8589982771350235,
        -8.87285693353063,
        12.360567175794303,
        0.6433927460157636,
    ]
)
_COLUMN = np.array(
    [
        0,
        0,
        1,
        0,
        2,
        0,
        2,
        3,
        0,
        3,
        4,
        0,
        3,
        4,
        5,
        0,
        3,
        4,
        5,
        6,
        0,
        3,
        4,
        5,
        6,
        7,
        0,
        3,
        4,
        5,
        6,
        7,
        8,
        0,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        0,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
    ]
)
_FIRST = np.array([0, 1, 3, 5, 8, 11, 15, 20, 26, 33, 41, 50])
_USED = np.array([0, 5, 6, 7, 8, 9, 10, 11])
_B = np.array(
    [
        0.054293734116568765,
        4.450312892752409,
        1.8915178993145003,
        -5.801203960010585,
        0.3111643669578199,
        -0.1521609496625161,
        0.20136540080403034,
        0.04471061572777259,
    ]
)
_E3 = np.array(
    [
        -0.18980075407240762,
        4.450312892752409,
        1.8915178993145003,
        -5.801203960010585,
        -0.4226823213237919,
        -0.1521609496625161,
        0.20136540080403034,
        0.02265179219836082,
    ]
)
_E5 = np.array(
    [
        0.01312004499419488,
        -1.2251564463762044,
        -0.4957589496572502,
        1.6643771824549864,
        -0.35032884874997366,
        0.3341791187130175,
        0.08192320648511571,
        -0.022355307863886294,
    ]
)


@subroutine
def _slopes(dh_dq, dh_dp, params, friction, q, p, out):
    """dq/dt and dp/dt, one after the other."""
    d = q.size
    dh_dp(q, p, params, out[:d])
    dh_dq(q, p, params, out[d:])
    for i in range(d):
        out[d + i] = -out[d + i] - friction * out[i]


@subroutine
def _larger(a, b):
    """The larger one; not a number as soon as one of them is not, unlike `max`."""
    return b if b > a or b != b else a


@kernel(ADVANCE)
def advance(dh_dq, dh_dp, params, friction, q, p, dt, substeps, work):
    """Steps of its own choice, at most dt/substeps long, that end on the frame.

    `work`: the step wished for, a spare place, carried digits (2d), a stage (2d), slopes
    (12 × 2d).
    """
    d = q.size
    carry = work[2 : 2 + 2 * d]
    stage = work[2 + 2 * d : 2 + 4 * d]
    k = work[2 + 4 * d : 2 + 4 * d + _STAGES * 2 * d].reshape((_STAGES, 2 * d))
    largest = abs(dt) / abs(substeps)
    fixed = substeps < 0
    direction = math.copysign(1.0, dt)
    h = work[0] if work[0] > 0.0 else largest
    done, late = 0.0, 0.0
    steps, most = 0, _MAX_STEPS
    _slopes(dh_dq, dh_dp, params, friction, q, p, k[0])
    while steps < most:
        steps += 1
        left = abs(dt) - done - (late if steps > _MANY else 0.0)
        pieces = np.ceil(left / (largest if fixed else min(h, largest)) - 1e-9)
        used = left / pieces
        if used == 0.0:  # the step wished for is nothing beside what is left
            return False
        step = direction * used
        for row in range(_STAGES - 1):
            for i in range(2 * d):
                stage[i] = 0.0
            for entry in range(_FIRST[row], _FIRST[row + 1]):
                a = _A[entry]
                column = k[_COLUMN[entry]]
                for i in range(2 * d):
                    stage[i] += a * column[i]
            for i in range(d):
                stage[i] = q[i] + step * stage[i]
                stage[d + i] = p[i] + step * stage[d + i]
            _slopes(dh_dq, dh_dp, params, friction, stage[:d], stage[d:], k[row + 1])
        error3 = 0.0
        error5 = 0.0
        for half in range(2):
            state = q if half == 0 else p
            scale = 0.0
            worst3 = 0.0
            worst5 = 0.0
            for i in range(d):
                sum3 = 0.0
                sum5 = 0.0
                total = 0.0
                for entry in range(_USED.size):
                    slope = k[_USED[entry], half * d + i]
                    sum3 += _E3[entry] * slope
                    sum5 += _E5[entry] * slope
                    total += _B[entry] * slope
                stage[half * d + i] = total
                worst3 = _larger(worst3, abs(sum3))
                worst5 = _larger(worst5, abs(sum5))
                scale = _larger(_larger(scale, abs(state[i])), used * abs(total))
            if not (math.isfinite(worst3) and math.isfinite(scale)):
                error5 = math.inf
            elif scale > 0.0:
                error3 = max(error3, worst3 / scale)
                error5 = max(error5, worst5 / scale)
        error = 0.0
        if error5 == math.inf:
            error = math.inf
        elif error5 > 0.0:
            error = used * error5 * error5 / math.sqrt(error5**2 + 0.01 * error3**2)
        if error <= TOLERANCE or (fixed and error < math.inf):
            for half in range(2):
                state = q if half == 0 else p
                for i in range(d):
                    change = step * stage[half * d + i] + carry[half * d + i]
                    before = state[i]
                    state[i] = before + change
                    carry[half * d + i] = change - (state[i] - before)
            if done == 0.0:
                most += int(min(_SLOWER * abs(dt) / used, _STEPS_MORE))
            passed = done
            done += used
            late += used - (done - passed)
            growth = 6.0 if error == 0.0 else min(6.0, 0.9 * (TOLERANCE / error) ** 0.125)
            h = used * growth
            if pieces == 1:
                work[0] = h
                return True
            _slopes(dh_dq, dh_dp, params, friction, q, p, k[0])
        else:
            shrink = 0.2 if error == math.inf else max(0.2, 0.9 * (TOLERANCE / error) ** 0.125)
            h = used * shrink
            if fixed or h <= 1e-14 * abs(dt):
                return False
    return False


DOP853 = Integrator(
    name="dop853",
    summary="adaptive Runge–Kutta of order 8, for every system and friction",
    order=8,
    symplectic=False,
    reversible=False,
    separable_only=False,
    friction=True,
    adaptive=True,
    evaluations="12, chooses its own steps",
    advance=advance,
    work_size=lambda d: 2 + 4 * d + 24 * d,
    reference="Hairer, Nørsett and Wanner (1993), Solving Ordinary Differential Equations I, II.5",
    gives_up="the steps are too short for so long an interval of time",
)
