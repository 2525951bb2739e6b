"""Gauss–Radau collocation of order 15 that chooses its own steps. The reference.

Within a step the slopes are a polynomial in time of degree 7 through the start and seven nodes,

    dy/dt (t₀ + s h) = f₀ + b₀ s + b₁ s² + … + b₆ s⁷,

whose coefficients are found by iteration: predicted from the step before, corrected at all nodes
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
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from physim.fields import ADVANCE, VECTOR, kernel, subroutine
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
_ROUNDING = 3e-16
_SLOWEST = 0.003
_MAX_STEPS = 100_000
_STEPS_MORE = 10_000_000
_SLOWER = 100.0
"""An interval may take `_MAX_STEPS`, and `_SLOWER` times as many as it were of the first one's
length, but at most `_STEPS_MORE` more: long ones go through, a binary that spirals in ends."""

_MANY = 1000
"""After so many steps what rounding cut off the time that has passed is made good."""


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
_COLUMNS = np.ascontiguousarray(_A[:_STAGES].T).reshape(-1)

_LANES = ir.VectorType(ir.DoubleType(), _STAGES)
_INDEX = ir.IntType(32)


class _Rows:
    """Rows of eight numbers, one for each node, as vectors of the processor.

    Numba finds the vectors of loops over so few nodes by itself only now and then; written out,
    they take a third of the time. No product is fused with a sum: the digits are those of a loop.
    """

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.context, self.builder, self.signature, self.args = context, builder, signature, args

    def address(self, array: int, at: Any, row: int = 0) -> Any:
        """Of row `row` after position `at` of an argument that is an array."""
        make = self.context.make_array(self.signature.args[array])
        data = make(self.context, self.builder, self.args[array]).data
        first = self.builder.gep(data, [at])
        return self.builder.gep(first, [ir.Constant(ir.IntType(64), _STAGES * row)])

    def load(self, array: int, at: Any, row: int = 0) -> Any:
        """A row."""
        address = self.builder.bitcast(self.address(array, at, row), _LANES.as_pointer())
        return self.builder.load(address, align=8)

    def store(self, value: Any, array: int, at: Any) -> None:
        """Write a row."""
        address = self.builder.bitcast(self.address(array, at), _LANES.as_pointer())
        self.builder.store(value, address, align=8)

    def wide(self, number: Any) -> Any:
        """A row of one number."""
        empty = ir.Constant(_LANES, ir.Undefined)
        one = self.builder.insert_element(empty, number, ir.Constant(_INDEX, 0))
        return self.shuffled(one, [0] * _STAGES)

    def shuffled(self, row: Any, order: list[int]) -> Any:
        """A row in another order."""
        mask = ir.Constant(ir.VectorType(_INDEX, _STAGES), order)
        return self.builder.shuffle_vector(row, row, mask)

    def combined(self, columns: int, at: Any, memory: int, f: Any) -> Any:
        """Σ_j columns[j] f[j]: a row for each number of the row f."""
        terms = []
        for j in range(_STAGES):
            number = self.builder.gep(self.address(memory, f), [ir.Constant(_INDEX, j)])
            factor = self.wide(self.builder.load(number))
            terms.append(self.builder.fmul(self.load(columns, at, j), factor))
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=True)
            terms = [self.builder.fadd(a, b) for a, b in pairs]
        return terms[0]


@intrinsic
def _stage(
    typingctx: Any, y: Any, carry: Any, h: Any, memory: Any, f: Any, out: Any, d: Any, a: Any
) -> Any:
    """One coordinate at all nodes, y + (carry + h Σ A f), to every d-th place from `out` on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows = _Rows(context, builder, signature, args)
        y, carry, h, _, f, out, d, _ = args
        total = rows.combined(7, ir.Constant(ir.IntType(64), 0), 3, f)
        change = builder.fadd(rows.wide(carry), builder.fmul(rows.wide(h), total))
        state = builder.fadd(rows.wide(y), change)
        for n in range(1, _STAGES):
            place = builder.add(out, builder.mul(d, ir.Constant(ir.IntType(64), n)))
            value = builder.extract_element(state, ir.Constant(_INDEX, n))
            builder.store(value, rows.address(3, place))
        return context.get_dummy_value()

    number, index = types.float64, types.int64
    return types.void(number, number, number, VECTOR, index, index, index, a), code


@intrinsic
def _continue(typingctx: Any, memory: Any, weights: Any, f: Any, predicted: Any) -> Any:
    """Slopes of the next step: the last polynomial continued, and off by as much as last time."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows = _Rows(context, builder, signature, args)
        _, weights, f, predicted = args
        fresh = rows.combined(0, weights, 0, f)
        missed = builder.fsub(rows.load(0, f), rows.load(0, predicted))
        rows.store(builder.fadd(fresh, missed), 0, f)
        rows.store(fresh, 0, predicted)
        return context.get_dummy_value()

    return types.void(VECTOR, types.int64, types.int64, types.int64), code


@intrinsic
def _replace(
    typingctx: Any,
    memory: Any,
    f: Any,
    fresh: Any,
    d: Any,
    sign: Any,
    friction: Any,
    velocity: Any,
) -> Any:
    """Slopes sign · fresh − friction · velocity at all nodes but the first; the largest change.

    `fresh` is at every d-th place.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows = _Rows(context, builder, signature, args)
        _, f, fresh, d, sign, friction, velocity = args
        before = rows.load(0, f)
        after = before
        for n in range(1, _STAGES):
            place = builder.add(fresh, builder.mul(d, ir.Constant(ir.IntType(64), n)))
            value = builder.load(rows.address(0, place))
            after = builder.insert_element(after, value, ir.Constant(_INDEX, n))
        first = ir.Constant(_INDEX, 0)
        drag = builder.fmul(rows.wide(friction), rows.load(0, velocity))
        after = builder.fsub(builder.fmul(rows.wide(sign), after), drag)
        after = builder.insert_element(after, builder.extract_element(before, first), first)
        rows.store(after, 0, f)
        up, down = builder.fsub(after, before), builder.fsub(before, after)
        change = builder.select(builder.fcmp_ordered(">", up, down), up, down)
        for half in (4, 2, 1):
            other = rows.shuffled(change, [i ^ half for i in range(_STAGES)])
            larger = builder.fcmp_ordered(">", other, change)
            change = builder.select(larger, other, change)
        return builder.extract_element(change, first)

    number, index = types.float64, types.int64
    return types.float64(VECTOR, index, index, index, number, number, index), code


@intrinsic
def _moved(typingctx: Any, array: Any, by: Any) -> Any:
    """The same view of an array without an owner, `by` places further on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, args[0])
        view.data = builder.gep(view.data, [args[1]])
        return view._getvalue()

    return array(array, types.int64), code


@intrinsic
def _borrowed(typingctx: Any, array: Any) -> Any:
    """The same array without an owner: views of it need no count of references."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, args[0])
        view.meminfo = view.meminfo.type(None)
        return view._getvalue()

    return array(array), code


@subroutine
def _lagrange(ratio, memory, weights):
    """The values of the last step's Lagrange polynomials at the nodes of the next, (8, 8)."""
    for n in range(_STAGES):
        t = 1.0 + ratio * NODES[n]
        product = 1.0
        for j in range(_STAGES):
            product *= t - NODES[j]
        for j in range(_STAGES):
            memory[weights + 8 * j + n] = product * _LEADING[j] / (t - NODES[j])


@subroutine
def _larger(a, b):
    """The larger one; not a number as soon as one of them is not, unlike `max`."""
    return b if b > a or b != b else a


@kernel(ADVANCE)
def advance(dh_dq, dh_dp, params, friction, q, p, dt, substeps, work):
    """Steps of its own choice, at most dt/substeps long, that end on the frame.

    `work`: the step wished for; the step that the slopes belong to, 0 for none; the factor by
    which the iteration last converged; the ratio of steps that the weights of the prediction are
    for; these, 8 × 8; then slopes of q and p and what was predicted for them, (d, 8) each; fresh
    slopes and states at the nodes, (8, d) each; state and carried digits, 2d each.

    In an iteration the forces at all nodes move the momenta, and these the velocities. No node
    waits for another, which takes an iteration in fifty more (three bodies) and half of the time.
    A change that is not a number is not seen by `max`, but by the error of the step.
    """
    d = q.size
    weights, f_q = 4, 68
    f_p, predicted, fresh = f_q + 8 * d, f_q + 16 * d, f_q + 32 * d
    stage_q, stage_p = f_q + 40 * d, f_q + 48 * d
    ends = f_q + 56 * d
    memory, row, end_q, end_p = _borrowed(work), _borrowed(params), _borrowed(q), _borrowed(p)
    y_q, y_p = memory[ends : ends + d], memory[ends + d : ends + 2 * d]
    carry, slope = memory[ends + 2 * d : ends + 4 * d], memory[fresh : fresh + d]
    node_q, node_p = memory[stage_q : stage_q + d], memory[stage_p : stage_p + d]
    for i in range(d):
        y_q[i], y_p[i] = end_q[i], end_p[i]
    ceiling = abs(dt) / abs(substeps)
    fixed = substeps < 0
    if memory[0] == 0.0:
        memory[0] = ceiling
    done, late = 0.0, 0.0
    steps, most = 0, _MAX_STEPS
    while steps < most:
        steps += 1
        left = abs(dt) - done - (late if steps > _MANY else 0.0)
        pieces = np.ceil(left / (ceiling if fixed else min(memory[0], ceiling)) - 1e-9)
        used = left / pieces
        if used == 0.0:  # the step wished for is nothing beside what is left
            return False
        h = math.copysign(used, dt)
        rate = 1.0
        predictable = memory[1] != 0.0
        if predictable:
            ratio = h / memory[1]
            if abs(ratio - memory[3]) > 1e-6:
                _lagrange(ratio, memory, weights)
                for i in range(16 * d):
                    memory[predicted + i] = memory[f_q + i]
                memory[3] = ratio
            else:
                rate = memory[2]
            for i in range(2 * d):
                _continue(memory, weights, f_q + 8 * i, predicted + 8 * i)
        dh_dp(y_q, y_p, row, slope)
        for i in range(d):
            memory[f_q + 8 * i] = slope[i]
        dh_dq(y_q, y_p, row, slope)
        for i in range(d):
            memory[f_p + 8 * i] = -slope[i] - friction * memory[f_q + 8 * i]
        if not predictable:
            for i in range(0, 16 * d, 8):
                for n in range(1, _STAGES):
                    memory[f_q + i + n] = memory[f_q + i]
        largest_q, largest_p = 0.0, 0.0
        for i in range(d):
            largest_q = max(largest_q, abs(y_q[i]), used * abs(memory[f_q + 8 * i]))
            largest_p = max(largest_p, abs(y_p[i]), used * abs(memory[f_p + 8 * i]))
        weight_q = used / largest_q if largest_q > 0.0 else 0.0
        weight_p = used / largest_p if largest_p > 0.0 else 0.0
        for i in range(d):
            _stage(y_p[i], carry[d + i], h, memory, f_p + 8 * i, stage_p + i, d, _COLUMNS)
        change = math.inf
        for iteration in range(_MAX_ITERATIONS):
            before = change
            for i in range(d):
                _stage(y_q[i], carry[i], h, memory, f_q + 8 * i, stage_q + i, d, _COLUMNS)
            for n in range(1, _STAGES):
                k = n * d
                dh_dq(_moved(node_q, k), _moved(node_p, k), row, _moved(slope, k))
            worst_p = 0.0
            for i in range(d):
                here = f_p + 8 * i
                shift = _replace(memory, here, fresh + i, d, -1.0, friction, f_q + 8 * i)
                worst_p = max(worst_p, shift)
                _stage(y_p[i], carry[d + i], h, memory, here, stage_p + i, d, _COLUMNS)
            for n in range(1, _STAGES):
                k = n * d
                dh_dp(_moved(node_q, k), _moved(node_p, k), row, _moved(slope, k))
            worst_q = 0.0
            for i in range(d):
                here = f_q + 8 * i
                worst_q = max(worst_q, _replace(memory, here, fresh + i, d, 1.0, 0.0, here))
            change = max(weight_q * worst_q, weight_p * worst_p)
            if iteration > 0:
                rate = max(change / before, _SLOWEST) if before > 0.0 else _SLOWEST
            if not change * rate > _ROUNDING or (change >= before and change < 1e-13):
                break
        memory[2] = rate
        error = 0.0
        for i in range(2 * d):
            total = 0.0
            for j in range(_STAGES):
                total += _LEADING[j] * memory[f_q + 8 * i + j]
            error = _larger(error, (weight_q if i < d else weight_p) * abs(total))
        growth = 4.0
        if not (math.isfinite(error) and change * rate < 1e-11):
            growth = 0.25
        elif error > 0.0:
            growth = min(4.0, 0.9 * (TOLERANCE / error) ** 0.125)
        if growth >= 0.8 or (fixed and math.isfinite(error)):
            for i in range(2 * d):
                mean = 0.0
                for j in range(_STAGES):
                    mean += _A[_STAGES, j] * memory[f_q + 8 * i + j]
                more = carry[i] + h * mean
                start = memory[ends + i]
                memory[ends + i] = start + more
                carry[i] = more - (memory[ends + i] - start)
            if done == 0.0:
                most += int(min(_SLOWER * abs(dt) / used, _STEPS_MORE))
            passed = done
            done += used
            late += used - (done - passed)
            memory[0] = used * growth
            memory[1] = h
            if pieces == 1:
                for i in range(d):
                    end_q[i], end_p[i] = y_q[i], y_p[i]
                return True
        else:
            memory[0] = used * max(growth, 0.1)
            memory[1] = 0.0
            memory[3] = 0.0
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
    evaluations="about 15, chooses its own steps",
    advance=advance,
    work_size=lambda d: 68 + 60 * d,
    reference="Rein and Spiegel (2015), IAS15; Everhart (1985)",
    gives_up="the steps are too short for so long an interval of time",
)
