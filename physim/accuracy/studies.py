"""What is measured: orders of convergence and cost; the states that all studies begin with.

Every study returns plain numbers; `report` puts them into tables and `plots` into pictures.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from physim import integrators, seeds
from physim.errors import SimulationError
from physim.integrators import rollout
from physim.integrators.integrator import Integrator
from physim.systems.parameters import LAWS
from physim.systems.system import System

DT = 0.125
"""Time between frames of the default data sets."""

FRAMES = 30
"""Frames of the default data sets."""


@dataclass(frozen=True)
class States:
    """Trajectories to begin with.

    Attributes:
        params: Rows of parameters, (n, n_params).
        q: Positions, (n, d).
        p: Momenta, (n, d).
    """

    params: np.ndarray
    q: np.ndarray
    p: np.ndarray

    def only(self, i: int) -> States:
        """One of them."""
        return States(self.params[i : i + 1], self.q[i : i + 1], self.p[i : i + 1])


def drawn(system: System, n: int, paper: bool = False, seed: int = 0) -> States:
    """States from a system's first sampler.

    Arguments:
        system: Whose sampler.
        n: How many.
        paper: With the parameters of the HGN paper rather than random ones.
        seed: Their seed.

    Returns:
        The states.
    """
    sampler = system.samplers[0]
    laws = [
        entry.paper if paper else entry.default
        for entry in (*system.parameters, *sampler.settings)
        for _ in range(entry.components)
    ]
    states = States(
        np.empty((n, system.n_params)),
        np.empty((n, system.dimension)),
        np.empty((n, system.dimension)),
    )
    seeds.initial_states(
        sampler.kernel.compiled,
        np.array([LAWS.index(law.law) for law in laws]),
        np.array([law.low for law in laws]),
        np.array([law.high for law in laws]),
        sampler.draws,
        seed,
        0,
        np.arange(n),
        np.zeros(n, dtype=np.int32),
        states.params,
        states.q,
        states.p,
    )
    return states


def gentle(system: System) -> States:
    """A few states for long runs: the paper's set, the pendulums swinging and not going round.

    The angle of a pendulum that goes round grows, and loses a digit with every factor of ten.
    Atoms are four hundred times as heavy, so twenty times slower, as slow as other bodies.
    """
    states = drawn(system, 5, paper=True, seed=3)
    if system.name == "lennard_jones":
        states.params[:, system.columns["m"]] *= 400.0
        states.p[:] *= 20.0
    calmer = {"pendulum": 0.7, "double_pendulum": 0.4}.get(system.name, 1.0)
    states.q[:] *= calmer
    states.p[:] *= calmer
    return states


def trajectories(
    system: System,
    method: Integrator,
    states: States,
    times: np.ndarray,
    substeps: int = 1,
    friction: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve the equations of motion.

    Arguments:
        system: Whose.
        method: How.
        states: From where, n of them.
        times: When the state is wanted, (T,).
        substeps: Steps between two times; negative for an adaptive method without control.
        friction: c in dp/dt = −∂H/∂q − c ∂H/∂p.

    Returns:
        (q, p, ok): (n, T, d), (n, T, d) and (n,).
    """
    q = np.empty((len(states.q), times.size, system.dimension))
    p = np.empty_like(q)
    ok = rollout.integrate(
        system,
        method,
        states.params,
        states.q,
        states.p,
        times,
        friction=friction,
        substeps=substeps,
        q=q,
        p=p,
    )
    return q, p, ok


@dataclass(frozen=True)
class Convergence:
    """Errors against steps.

    Attributes:
        steps: Lengths of the steps, (k,).
        errors: Median over the states of the largest error in a coordinate, (k,).
        order: The slope, median over the states.
    """

    steps: np.ndarray
    errors: np.ndarray
    order: float


ROUNDING = 1e-13
"""Below this an error of the order study says nothing about the method."""

SHORTER = {"double_pendulum": 0.5, "lennard_jones": 0.125}
"""Where the order is measured over less than a unit of time: for longer, chaos magnifies rounding,
which the many small steps that atoms ask for add to."""

Truth = Callable[[System, States, float, float], np.ndarray]
"""(system, states, time, friction) to the states at that time, (n, 2d)."""


def reference_truth(
    system: System, states: States, end: float, friction: float = 0.0
) -> np.ndarray:
    """The state at one time from the closed form, or else from the reference integrator.

    Raises:
        SimulationError: A trajectory could not be computed.
    """
    method = integrators.choose(system, "", friction)
    # Intervals as short as those of data sets: one long one is more than a first trial step.
    times = np.linspace(0, end, int(np.ceil(end / DT)) + 1)
    q, p, ok = trajectories(system, method, states, times, friction=friction)
    if not ok.all():
        raise SimulationError(f"{system.name}: {(~ok).sum()} states have no truth at t = {end}")
    return np.concatenate([q[:, -1], p[:, -1]], axis=1)


def convergence(
    method: Integrator,
    system: System,
    states: States | None = None,
    truth: Truth = reference_truth,
    friction: float = 0.0,
) -> Convergence:
    """Order of convergence: how the error at a fixed time falls with the step.

    A state's slope is taken over the three finest refinements that rounding does not blur yet;
    the order is the median over the states, so that one whose error happens to change its sign
    there does not matter.

    Arguments:
        method: The method; an adaptive one takes equal steps here.
        system: What it integrates.
        states: From where; 40 of the default set if left out.
        truth: What is right.
        friction: c in dp/dt = −∂H/∂q − c ∂H/∂p.

    Returns:
        Steps, errors and the order.
    """
    states = drawn(system, 40, seed=7) if states is None else states
    end = SHORTER.get(system.name, 1.0)
    if method.order > 4:
        end *= 4.0 if method.order < 10 else 8.0
    right = truth(system, states, end, friction)
    factor = 2.0 if method.order < 3 else 1.5 if method.order < 5 else 1.2
    n = 16 if method.order < 5 else 4
    counts, rows = [], []
    while n <= 4096:
        sign = -1 if method.adaptive else 1
        q, p, ok = trajectories(system, method, states, np.array([end]), sign * n, friction)
        error = abs(np.concatenate([q[:, 0], p[:, 0]], axis=1) - right).max(axis=1)
        rows.append(np.where(ok, error, np.nan))
        counts.append(n)
        if ok.any() and np.median(error[ok]) < 0.1 * ROUNDING:
            break
        n = int(np.ceil(n * factor))
    errors = np.array(rows)
    steps = end / np.array(counts)
    slopes = []
    for column in errors.T:
        fine = np.flatnonzero(~(column > ROUNDING))
        fine = fine[fine > 0]
        usable = int(fine[0]) if fine.size and column[0] > ROUNDING else len(column)
        if fine.size and np.isnan(column[: fine[0] + 1]).any():
            valid = np.flatnonzero(np.isfinite(column) & (column > ROUNDING))
            usable = int(valid[-1]) + 1 if valid.size else 0
        if usable >= 4 and np.isfinite(column[usable - 4 : usable]).all():
            part = slice(usable - 4, usable)
            slopes.append(np.polyfit(np.log(steps[part]), np.log(column[part]), 1)[0])
    order = float(np.median(slopes)) if slopes else float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # steps at which no state has an error
        middle = np.nanmedian(errors, axis=1)
    return Convergence(steps, middle, order)


def energy_error(system: System, states: States, energy: np.ndarray) -> np.ndarray:
    """|H/H₀ − 1|, or what says more where H₀ may be near 0.

    In a periodic box |H − H₀| is divided by the kinetic energy at the start, if it exceeds |H₀|.

    Arguments:
        system: Whose H.
        states: From where, n of them.
        energy: H along the trajectories, (n, T).

    Returns:
        (n, T) errors.
    """
    if not system.box:
        return rollout.energy_error(energy)
    q, p = (np.ascontiguousarray(x[:, None]) for x in (states.q, states.p))
    velocity, _ = rollout.derivatives(system, q, p, states.params)
    kinetic = (p * velocity).sum(axis=2) / 2
    return abs(energy - energy[:, :1]) / np.maximum(kinetic, abs(energy[:, :1]))


@dataclass(frozen=True)
class Cost:
    """What 30 frames of the default set cost, and what they are worth.

    Attributes:
        microseconds: Time a trajectory on one core.
        energy: Worst `energy_error`.
        state: Worst difference from the reference in a coordinate.
    """

    microseconds: float
    energy: float
    state: float


def cost(
    method: Integrator, system: System, states: States, substeps: int = 1, repeats: int = 3
) -> Cost:
    """Error against time of the default frames.

    Arguments:
        method: The method.
        system: What it integrates.
        states: From where.
        substeps: Steps per frame.
        repeats: The best time of this many counts.

    Returns:
        Time and errors.
    """
    times = DT * np.arange(FRAMES)
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        q, p, ok = trajectories(system, method, states, times, substeps)
        seconds.append(time.process_time() - start)
    right_q, right_p, _ = trajectories(system, integrators.choose(system), states, times)
    energy = rollout.energy(system, q, p, states.params)
    return Cost(
        min(seconds) / len(states.q) * 1e6,
        float(energy_error(system, states, energy).max()) if ok.all() else float("nan"),
        float(np.max([abs(q - right_q).max(), abs(p - right_p).max()])),
    )
