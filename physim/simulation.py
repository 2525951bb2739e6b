"""Trajectories of chosen initial states, from Python: `physim.simulate`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike

from physim import integrators, processors, systems
from physim.errors import RecipeError, SimulationError
from physim.integrators import rollout
from physim.integrators.integrator import Integrator
from physim.systems.rows import number, numbers, whole
from physim.systems.rows import rows as parameter_rows
from physim.systems.system import System

_BLOCK = 64
_MOST = 1_000_000_000


def simulate(
    system: str | System,
    q0: ArrayLike,
    p0: ArrayLike,
    params: Mapping[str, ArrayLike] | ArrayLike | None = None,
    times: ArrayLike = (),
    integrator: str | None = None,
    friction: float = 0.0,
    substeps: int = 1,
    workers: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """States at given times, from initial states at time 0.

    The first call with a system or an integrator compiles it, which takes seconds, and keeps the
    result on disk.

    Arguments:
        system: A system or its name.
        q0: Positions at time 0, (d,) or (n, d); two or more bodies as x₁, y₁, x₂, y₂, …; `n_body`
            and `lennard_jones` have as many as are given.
        p0: Momenta at time 0, of the same shape.
        params: Physical constants by symbol, each a number, one value per body, or such for each
            of n trajectories; or rows in the order of `system.parameters`, (n_params,) or (n,
            n_params). Omitted ones have the HGN paper's values.
        times: Times of the states, (T,), in any order. Those after 0 are reached forward, one from
            the other, those before it backward.
        integrator: Name of the integrator; by default the most accurate of the fast ones.
        friction: c in dp/dt = −∂H/∂q − c ∂H/∂p.
        substeps: Equal steps between two times; an adaptive integrator takes at least as many.
        workers: Threads; if None, one per processor that this process may use.

    Returns:
        (q, p), each (n, T, d), or (T, d) where both initial states had one dimension and there is
        one row of parameters.

    Raises:
        RecipeError: An argument is invalid.
        SimulationError: Two bodies collide, a state is not finite, or an adaptive integrator
            needs too many steps for an interval. Integrators with a fixed step see no collision:
            they step over it, and what they return from then on is finite and wrong. The closed
            form and the adaptive ones refuse it.

    Example:
        >>> q, p = simulate("mass_spring", [1.0], [0.0], {"m": 0.5, "k": 2.0}, [0.0, 1.0])
        >>> print(q.shape, round(float(q[1, 0]), 6))  # cos 2
        (2, 1) -0.416147
    """
    found = (
        system if isinstance(system, System) else systems.of_states(str(system), numbers("q0", q0))
    )
    start_q, start_p, single = _states(found, q0, p0)
    rows = parameter_rows(found, params)
    n = len(start_q) if len(rows) == 1 else len(rows)
    if len(start_q) not in (1, n):
        raise RecipeError(
            f"params: got {len(rows)} rows for {len(start_q)} initial states, "
            "expected as many, or one"
        )
    start_q, start_p, rows = (
        np.array(np.broadcast_to(array, (n, array.shape[1])), order="C")
        for array in (start_q, start_p, rows)
    )
    grid = _times(times)
    expected = f"a whole number from 1 to {_MOST:,}"
    steps = whole("substeps", substeps, 1, _MOST, expected)
    if workers is not None:
        workers = whole("workers", workers, 1, _MOST, expected)
    drag = number("friction", friction, 0, sys.float_info.max, "a number from 0")
    method = integrators.choose(found, "" if integrator is None else str(integrator), drag)
    integrators.check_substeps(method, steps)
    q = np.empty((n, grid.size, found.dimension))
    p = np.empty_like(q)

    def block(first: int) -> None:
        part = slice(first, first + _BLOCK)
        for at in _outward(grid):
            reached = q[part], p[part]
            in_order = np.array_equal(at, np.arange(grid.size))
            if not in_order:
                shape = len(rows[part]), at.size, found.dimension
                reached = np.empty(shape), np.empty(shape)
            ok = rollout.integrate(
                found,
                method,
                rows[part],
                start_q[part],
                start_p[part],
                grid[at],
                friction=drag,
                substeps=steps,
                q=reached[0],
                p=reached[1],
            )
            if not ok.all():
                index = first + int(np.argmin(ok))
                start = rows[index], start_q[index], start_p[index]
                raise SimulationError(failure(found, index, *start, reasons(found, method)))
            if not in_order:
                q[part, at], p[part, at] = reached

    threads = min(workers or processors.available(), -(-n // _BLOCK))
    if threads == 1:
        for first in range(0, n, _BLOCK):
            block(first)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(block, range(0, n, _BLOCK)):
                pass
    return (q[0], p[0]) if single and n == 1 else (q, p)


def _outward(times: np.ndarray) -> list[np.ndarray]:
    """Where the times before 0 are, and where the others, each in the order away from 0."""
    sides = [np.flatnonzero(side) for side in (times < 0, times >= 0)]
    return [at[np.argsort(np.abs(times[at]), kind="stable")] for at in sides if at.size]


def reasons(system: System, integrator: Integrator) -> str:
    """Reasons why a trajectory may be abandoned.

    Arguments:
        system: The system.
        integrator: The integrator that abandoned it.

    Returns:
        One clause.
    """
    if system.fault:
        return system.fault
    found = ["two bodies collide"] if system.may_collide else []
    found.append("a state is not finite")
    if integrator.gives_up:
        found.append(f"with {integrator.name} {integrator.gives_up}")
    return ", or ".join(found)


def failure(
    system: System, index: int, params: np.ndarray, q0: np.ndarray, p0: np.ndarray, reason: str
) -> str:
    """The sentence about a trajectory that cannot be computed.

    Arguments:
        system: The system.
        index: Number of the trajectory.
        params: Its row of parameters, (n_params,).
        q0: Its initial positions, (d,).
        p0: Its initial momenta, (d,).
        reason: The reason, as one clause.

    Returns:
        One sentence with everything that is needed to see it again.
    """
    constants = ", ".join(
        f"{symbol}={_text(params[column])}" for symbol, column in system.columns.items()
    )
    return (
        f"{system.name}: trajectory {index}: {reason} "
        f"({constants}, q0={_text(q0)}, p0={_text(p0)})"
    )


def _text(values: np.ndarray) -> str:
    numbers = [repr(float(value)) for value in np.atleast_1d(values)]
    return numbers[0] if len(numbers) == 1 else f"[{', '.join(numbers)}]"


def _states(system: System, q0: ArrayLike, p0: ArrayLike) -> tuple[np.ndarray, np.ndarray, bool]:
    states = []
    for name, value in (("q0", q0), ("p0", p0)):
        array = numbers(name, value)
        if array.ndim not in (1, 2) or array.shape[-1] != system.dimension or array.size == 0:
            chosen = ""
            if choice := systems.choice_of_bodies(system.name):
                chosen = f", or two numbers for each of {choice[0]} … {choice[-1]} bodies"
            raise RecipeError(
                f"{name}: got shape {array.shape}, expected ({system.dimension},) or "
                f"(n, {system.dimension}) for {system.name}{chosen}"
            )
        states.append(array)
    q, p = states
    rows_q, rows_p = np.atleast_2d(q), np.atleast_2d(p)
    if len(rows_q) != len(rows_p) and 1 not in (len(rows_q), len(rows_p)):
        raise RecipeError(f"p0: got {len(rows_p)} states, but q0 has {len(rows_q)}")
    rows_q, rows_p = np.broadcast_arrays(rows_q, rows_p)
    return rows_q, rows_p, q.ndim == p.ndim == 1


def _times(times: ArrayLike) -> np.ndarray:
    grid = np.ascontiguousarray(np.atleast_1d(numbers("times", times)))
    if grid.ndim != 1 or grid.size == 0:
        raise RecipeError(f"times: got shape {grid.shape}, expected (T,), at least one time")
    return grid
