"""Whether the functions of a system fit each other and the numbers that it declares.

Compiled code checks no bounds: with one degree of freedom too few it would read and write foreign
memory, and a gradient of the wrong sign looks like an instability. So each function is called once
on the state with which a sampler begins the middle of all ranges, on arrays in the midst of NaN.
What reads beyond its arguments, or leaves a part of its result unwritten, then gives NaN; what
writes beyond them is seen; gradients are compared with differences of H, and how a closed form
moves with the gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from physim.systems.parameters import Parameter
    from physim.systems.system import Sampler, System

MARGIN = 64
"""Entries of NaN before and behind an array."""

STEP = 1e-6
"""Of the differences, relative to the coordinate or to 1, whichever is larger."""

TOLERANCE = 1e-3
"""Of a difference, relative to the largest slope of H; that of a wrong term is as large as it."""

MOMENTS = (0.0, 0.7, 3.1, -1.9)
"""Times at which a closed form is tried, in units of the time in which the state changes by about
as much as it is large."""

_ROUNDING = 1e-14


class _Guarded:
    """An array in the midst of NaN, filled with NaN unless values are given."""

    def __init__(self, size: int, values: ArrayLike = np.nan) -> None:
        self.whole = np.full(MARGIN + size + MARGIN, np.nan)
        self.inside = self.whole[MARGIN : MARGIN + size]
        self.inside[:] = values

    @property
    def overrun(self) -> bool:
        """Whether something was written beside it."""
        beside = np.concatenate([self.whole[:MARGIN], self.whole[-MARGIN:]])
        return not bool(np.isnan(beside).all())

    @property
    def finite(self) -> bool:
        """Whether all of it is finite."""
        return bool(np.isfinite(self.inside).all())


def fault(system: System) -> str:
    """What is wrong with the functions of a system.

    Arguments:
        system: The system.

    Returns:
        The first thing found, as one sentence; empty where all is well.
    """
    found = next(_faults(system), "")
    return f"{system.name}: {found}" if found else ""


def _faults(system: System) -> Iterator[str]:
    for sampler in system.samplers:
        yield from _faults_from(system, sampler)


def _faults_from(system: System, sampler: Sampler) -> Iterator[str]:
    """Of the functions on a state of one sampler."""
    d = system.dimension
    params = _Guarded(system.n_params, _middle(system.parameters))
    settings = _Guarded(sum(row.components for row in sampler.settings), _middle(sampler.settings))
    u = _Guarded(sampler.draws, (0.37 + 0.618034 * np.arange(sampler.draws)) % 1)
    q, p = _Guarded(d), _Guarded(d)
    sampler.kernel(settings.inside, u.inside, params.inside, q.inside, p.inside)
    if q.overrun or p.overrun:
        yield f"the sampler '{sampler.name}' writes beyond q or p, dimension is {d}"
    if not (q.finite and p.finite):
        yield (
            f"the sampler '{sampler.name}' gives q = {_text(q)}, p = {_text(p)}; it must fill all "
            f"{d}, and may read {settings.inside.size} settings, {sampler.draws} draws and "
            f"{system.n_params} params"
        )
    where = f"at q = {_text(q)}, p = {_text(p)}, params = {_text(params)}"
    energy = system.hamiltonian(q.inside, p.inside, params.inside)
    if not np.isfinite(energy):
        yield f"hamiltonian gives {energy} {where}; it may read nothing beyond these"
    xy = _Guarded(2 * system.bodies)
    system.positions(q.inside, params.inside, xy.inside)
    if xy.overrun or not xy.finite:
        yield (
            f"positions fills {_text(xy)}{' and more' * xy.overrun}, expected 2 numbers for each "
            f"of {system.bodies} bodies, {where}"
        )
    yield from _gradient_faults(system, q, p, params, energy, where)
    if system.closed_form is not None:
        yield from _closed_form_faults(system, q.inside, p.inside, params.inside, where)


def _closed_form_faults(
    system: System, q: np.ndarray, p: np.ndarray, params: np.ndarray, where: str
) -> Iterator[str]:
    assert system.closed_form is not None  # noqa: S101  (the caller has looked)
    d = system.dimension

    def slopes(at_q: np.ndarray, at_p: np.ndarray) -> np.ndarray:
        out = np.empty((2, d))
        system.dh_dp(at_q, at_p, params, out[0])
        system.dh_dq(at_q, at_p, params, out[1])
        return out * np.array([[1.0], [-1.0]])

    speed = np.abs(slopes(q, p)).max()
    unit = max(1.0, np.abs(q).max(), np.abs(p).max()) / speed if speed > 0 else 1.0
    for moment in MOMENTS:
        times = unit * (moment + np.array([0.0, STEP**0.5, 2 * STEP**0.5]))
        found = np.full((2, 3, d), np.nan)
        if not system.closed_form(q, p, params, times, found[0], found[1]):
            continue  # bodies that collide
        if moment == 0 and not np.allclose(found[:, 0], [q, p], rtol=1e-9, atol=1e-9):
            yield f"closed_form at time 0 is not the initial state, {where}"
        expected = slopes(found[0, 1], found[1, 1])
        moved = (found[:, 2] - found[:, 0]) / (times[2] - times[0])
        allowed = 10 * TOLERANCE * max(speed, np.abs(expected).max())
        if not np.allclose(moved, expected, rtol=0, atol=allowed):
            yield f"closed_form does not move as the gradients of H say, {where}"
            return


def _gradient_faults(
    system: System, q: _Guarded, p: _Guarded, params: _Guarded, energy: float, where: str
) -> Iterator[str]:
    d = system.dimension
    slopes, steps = np.empty((2, d)), np.empty((2, d))
    for row, state in enumerate((q.inside, p.inside)):
        for i in range(d):
            middle = state[i]
            steps[row, i] = STEP * max(1.0, abs(middle))
            ends = []
            for side in (1, -1):
                state[i] = middle + side * steps[row, i]
                ends.append(system.hamiltonian(q.inside, p.inside, params.inside))
            state[i] = middle
            slopes[row, i] = (ends[0] - ends[1]) / (2 * steps[row, i])
    allowed = TOLERANCE * np.abs(slopes).max() + _ROUNDING * abs(energy) / steps
    for row, name in enumerate(("dh_dq", "dh_dp")):
        out, kernel = _Guarded(d), getattr(system, name)
        kernel(q.inside, p.inside, params.inside, out.inside)
        if out.overrun or not out.finite:
            yield f"{name} fills {_text(out)}{' and more' * out.overrun}, expected {d} {where}"
        wrong = np.flatnonzero(np.abs(out.inside - slopes[row]) > allowed[row])
        if wrong.size:
            i = wrong[0]
            yield (
                f"{name}[{i}] is {out.inside[i]:.6g}, but hamiltonian rises by "
                f"{slopes[row, i]:.6g} per unit of {name[-1]}[{i}], {where}"
            )
        if system.separable:
            moved = _Guarded(d, 1.25 * (p, q)[row].inside + 0.125)
            states = (q, moved) if row == 0 else (moved, p)
            other = _Guarded(d)
            kernel(states[0].inside, states[1].inside, params.inside, other.inside)
            if not np.array_equal(out.inside, other.inside):
                yield f"separable is True, but {name} depends on {'pq'[row]}"


def _middle(parameters: tuple[Parameter, ...]) -> list[float]:
    """The middle of the default range of each component."""
    return [
        0.5 * (row.default.low + row.default.high)
        for row in parameters
        for _ in range(row.components)
    ]


def _text(array: _Guarded) -> str:
    return f"[{', '.join(f'{value:.6g}' for value in array.inside)}]"
