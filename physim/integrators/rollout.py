"""Many trajectories to states at given times, and what follows from the states.

These kernels work on a block of trajectories in the calling thread and release the GIL, so that
several threads can work on several blocks. Each is compiled once for all systems. All accept
arrays to write to, so that a renderer can use the same memory for every block.

Shapes: n trajectories, T times, d degrees of freedom; all arrays are float64 and C-contiguous.
"""

from __future__ import annotations

import numpy as np
from numba import types

from physim.fields import (
    ADVANCE,
    CLOSED_FORM,
    CUBE,
    ENERGY,
    FIELD,
    FLAGS,
    MATRIX,
    VECTOR,
    kernel,
)
from physim.integrators.integrator import Integrator
from physim.systems.system import System

COLLISION = 1e-6
"""Share of its energy by which an adaptive method is never off, unless it met a collision."""


@kernel(
    types.void(
        types.FunctionType(ADVANCE),
        types.FunctionType(FIELD),
        types.FunctionType(FIELD),
        MATRIX,
        MATRIX,
        MATRIX,
        VECTOR,
        types.float64,
        types.int64,
        types.int64,
        CUBE,
        CUBE,
        FLAGS,
    )
)
def _stepped(
    advance, dh_dq, dh_dp, params, q0, p0, times, friction, substeps, work_size, q, p, ok
):
    work = np.empty(work_size)
    state_q = np.empty(q0.shape[1])
    state_p = np.empty(q0.shape[1])
    for i in range(q0.shape[0]):
        work[:] = 0.0
        state_q[:] = q0[i]
        state_p[:] = p0[i]
        row = params[i]
        now = 0.0
        fine = True
        for t in range(times.size):
            dt = times[t] - now
            if fine and dt != 0.0:
                fine = advance(dh_dq, dh_dp, row, friction, state_q, state_p, dt, substeps, work)
                now = times[t]
            for j in range(state_q.size):
                q[i, t, j], p[i, t, j] = state_q[j], state_p[j]
        for j in range(state_q.size):
            fine = fine and np.isfinite(state_q[j]) and np.isfinite(state_p[j])
        ok[i] = fine


@kernel(
    types.void(types.FunctionType(CLOSED_FORM), MATRIX, MATRIX, MATRIX, VECTOR, CUBE, CUBE, FLAGS)
)
def _closed(solution, params, q0, p0, times, q, p, ok):
    for i in range(q0.shape[0]):
        fine = solution(q0[i], p0[i], params[i], times, q[i], p[i])
        for t in range(times.size):
            for j in range(q0.shape[1]):
                fine = fine and np.isfinite(q[i, t, j]) and np.isfinite(p[i, t, j])
        ok[i] = fine


@kernel(types.void(types.FunctionType(ENERGY), MATRIX, CUBE, CUBE, MATRIX))
def _energies(hamiltonian, params, q, p, out):
    for i in range(q.shape[0]):
        for t in range(q.shape[1]):
            out[i, t] = hamiltonian(q[i, t], p[i, t], params[i])


@kernel(
    types.void(
        types.FunctionType(FIELD),
        types.FunctionType(FIELD),
        MATRIX,
        types.float64,
        CUBE,
        CUBE,
        CUBE,
        CUBE,
    )
)
def _derivatives(dh_dq, dh_dp, params, friction, q, p, dq_dt, dp_dt):
    for i in range(q.shape[0]):
        for t in range(q.shape[1]):
            dh_dp(q[i, t], p[i, t], params[i], dq_dt[i, t])
            dh_dq(q[i, t], p[i, t], params[i], dp_dt[i, t])
            for j in range(q.shape[2]):
                dp_dt[i, t, j] = -dp_dt[i, t, j] - friction * dq_dt[i, t, j]


def integrate(
    system: System,
    integrator: Integrator,
    params: np.ndarray,
    q0: np.ndarray,
    p0: np.ndarray,
    times: np.ndarray,
    *,
    friction: float = 0.0,
    substeps: int = 1,
    q: np.ndarray,
    p: np.ndarray,
) -> np.ndarray:
    """Solve the equations of motion of many trajectories; the caller has checked that they fit.

    Arguments:
        system: Whose motion.
        integrator: How; one that fits.
        params: Rows of parameters, (n, n_params).
        q0: Positions at time 0, (n, d).
        p0: Momenta at time 0, (n, d).
        times: When the state is wanted, (T,); rising or falling.
        friction: c in dp/dt = −∂H/∂q − c ∂H/∂p.
        substeps: Equal steps between two times; an adaptive integrator takes at least as many,
            and if negative exactly as many, without control of any kind.
        q: Positions are written here, (n, T, d).
        p: Momenta are written here, (n, T, d).

    Returns:
        (n,) bool: False where the trajectory cannot be computed (a collision, a state that is not
        finite, an interval of too many steps); what stands in `q` and `p` there means nothing.
    """
    ok = np.empty(len(q0), dtype=np.bool_)
    if integrator.advance is None:
        assert system.closed_form is not None  # noqa: S101  (Integrator.fits)
        _closed(system.closed_form.compiled, params, q0, p0, times, q, p, ok)
    else:
        _stepped(
            integrator.advance.compiled,
            system.dh_dq.compiled,
            system.dh_dp.compiled,
            params,
            q0,
            p0,
            times,
            friction,
            substeps,
            integrator.work_size(system.dimension),
            q,
            p,
            ok,
        )
        if integrator.adaptive and substeps > 0:
            way = 0.0 if friction == 0 else np.copysign(1.0, times[-1])
            ok &= _keeps_energy(system, params, q0, p0, q, p, way)
    return ok


def _keeps_energy(
    system: System,
    params: np.ndarray,
    q0: np.ndarray,
    p0: np.ndarray,
    q: np.ndarray,
    p: np.ndarray,
    way: float,
) -> np.ndarray:
    """Whether H is what an adaptive method leaves of it, (n,) bool.

    Bodies that fall straight into each other can be stepped over: by symmetry the forces at both
    ends of a step are finite, and no estimate of the error sees what lies between. Their energy
    is wrong by orders of magnitude from then on. `way` is 0 where H must stay as it is at time 0;
    with friction, 1 where time runs forward and H must not rise, −1 where it must not fall.
    """
    h = energy(system, q, p, params)
    start = np.ascontiguousarray(q0[:, None]), np.ascontiguousarray(p0[:, None])
    level = energy(system, *start, params)
    velocity, _ = derivatives(system, *start, params)
    with np.errstate(invalid="ignore", over="ignore"):  # what failed already is not finite
        scale = np.maximum(np.abs(level), np.abs((start[1] * velocity).sum(axis=2)))
        scale = np.where(scale > 0, scale, 1.0)
        if way == 0:
            off = np.abs(h - level)
        else:
            before = np.concatenate([level, h[:, :-1]], axis=1)
            off = way * (h - before)
            scale = np.maximum(scale, np.abs(before))
        kept = (off <= COLLISION * scale).all(axis=1)
        if (again := np.flatnonzero(~kept)).size:  # H may be 0 at rest, to which nothing is small
            velocity, _ = derivatives(system, q[again], p[again], params[again])
            usual = np.median(np.abs((p[again] * velocity).sum(axis=2)), axis=1, keepdims=True)
            larger = COLLISION * np.maximum(scale[again], usual)
            kept[again] = (off[again] <= larger).all(axis=1)
        return kept


def energy(system: System, q: np.ndarray, p: np.ndarray, params: np.ndarray) -> np.ndarray:
    """H of every state.

    Arguments:
        system: Whose H.
        q: Positions, (n, T, d).
        p: Momenta, (n, T, d).
        params: Rows of parameters, (n, n_params).

    Returns:
        (n, T) energies.

    Raises:
        RecipeError: An array does not fit the system.
    """
    system.check(params, q, p)
    out = np.empty(q.shape[:2])
    _energies(system.hamiltonian.compiled, params, q, p, out)
    return out


def energy_error(energy: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """|H/H₀ − 1|; where H₀ is 0, to which nothing is relative, |H|.

    Arguments:
        energy: H along trajectories, (n, T).
        start: H₀ of each, (n, 1); the first of `energy` where None.

    Returns:
        (n, T) errors; not finite where an energy is not, or where H is too many times H₀.

    Example:
        >>> energy_error(np.array([[2.0, 3.0], [0.0, 0.5]]))
        array([[0. , 0.5],
               [0. , 0.5]])
    """
    start = energy[:, :1] if start is None else start
    with np.errstate(over="ignore", invalid="ignore"):
        return np.abs(energy - start) / np.where(start == 0, 1.0, np.abs(start))


def derivatives(
    system: System,
    q: np.ndarray,
    p: np.ndarray,
    params: np.ndarray,
    friction: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """dq/dt = ∂H/∂p and dp/dt = −∂H/∂q − c ∂H/∂p of every state.

    Arguments:
        system: Whose equations of motion.
        q: Positions, (n, T, d).
        p: Momenta, (n, T, d).
        params: Rows of parameters, (n, n_params).
        friction: c.

    Returns:
        (dq/dt, dp/dt), each (n, T, d).

    Raises:
        RecipeError: An array does not fit the system.
    """
    system.check(params, q, p)
    dq_dt, dp_dt = np.empty_like(q), np.empty_like(q)
    _derivatives(
        system.dh_dq.compiled, system.dh_dp.compiled, params, friction, q, p, dq_dt, dp_dt
    )
    return dq_dt, dp_dt
