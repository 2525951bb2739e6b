"""What must be conserved: energy, the symplectic form, momenta, reversibility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physim import integrators
from physim.accuracy.studies import DT, FRAMES, States, drawn, energy_error, trajectories
from physim.drawing import canvas
from physim.integrators import rollout
from physim.integrators.integrator import Integrator
from physim.systems.positions import positions
from physim.systems.system import System


def energy_errors(
    method: Integrator, system: System, states: States, dt: float, checkpoints: tuple[int, ...]
) -> dict[int, float]:
    """Worst |H/H₀ − 1| over given numbers of steps, one step per frame.

    Arguments:
        method: The method.
        system: What it integrates.
        states: From where.
        dt: The step.
        checkpoints: Numbers of steps, rising.

    Returns:
        The error up to each checkpoint; nan where a trajectory could not be computed.
    """
    worst, done = 0.0, 0
    found: dict[int, float] = {}
    first = rollout.energy(system, states.q[:, None], states.p[:, None], states.params)
    here = states
    for checkpoint in checkpoints:
        while done < checkpoint:
            part = min(1000, checkpoint - done)
            times = dt * np.arange(1, part + 1)
            q, p, ok = trajectories(system, method, here, times)
            error = rollout.energy_error(rollout.energy(system, q, p, states.params), first)
            worst = float(np.max([worst, error.max()])) if ok.all() else float("nan")
            here = States(states.params, q[:, -1].copy(), p[:, -1].copy())
            done += part
            if not ok.all():
                return found | {later: float("nan") for later in checkpoints if later >= done}
        found[checkpoint] = worst
    return found


def symplectic_defect(method: Integrator, system: System, states: States, dt: float) -> float:
    """Largest entry of MᵀJM − J, M the Jacobian of one step.

    M comes from differences of order 8 with a spacing of 2e-3, good to about 1e-12.

    Arguments:
        method: The method.
        system: What it integrates.
        states: Where.
        dt: The step.

    Returns:
        The largest entry over all states; nan where a step could not be computed.
    """
    d, h = system.dimension, 2e-3
    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    z = np.concatenate([states.q, states.p], axis=1)
    jacobian = np.zeros((len(z), 2 * d, 2 * d))
    for i in range(2 * d):
        for k, weight in weights.items():
            for sign in (1, -1):
                moved = z.copy()
                moved[:, i] += sign * k * h
                there = States(states.params, moved[:, :d].copy(), moved[:, d:].copy())
                q, p, ok = trajectories(system, method, there, np.array([dt]))
                if not ok.all():
                    return float("nan")
                state = np.concatenate([q[:, 0], p[:, 0]], axis=1)
                jacobian[:, :, i] += sign * weight / h * state
    J = np.block([[np.zeros((d, d)), np.eye(d)], [-np.eye(d), np.zeros((d, d))]])
    return float(abs(np.swapaxes(jacobian, 1, 2) @ J @ jacobian - J).max())


def return_error(
    method: Integrator, system: System, states: States, dt: float, steps: int
) -> float:
    """Distance of a trajectory from its start after some steps forward and as many back.

    Arguments:
        method: The method.
        system: What it integrates.
        states: From where.
        dt: The step.
        steps: How many.

    Returns:
        The largest difference in a coordinate; nan where it could not be computed.
    """
    q, p, out = trajectories(system, method, states, np.array([steps * dt]), steps)
    there = States(states.params, q[:, 0].copy(), p[:, 0].copy())
    q, p, back = trajectories(system, method, there, np.array([-steps * dt]), steps)
    if not (out.all() and back.all()):
        return float("nan")
    return float(np.max([abs(q[:, 0] - states.q).max(), abs(p[:, 0] - states.p).max()]))


@dataclass(frozen=True)
class Worst:
    """The worst of a data set as it is rendered.

    Attributes:
        trajectories: How many were looked at.
        energy: Worst `studies.energy_error` over the frames.
        momentum: Worst change of the total momentum of several bodies in the plane; else None.
        spin: Worst change of their total angular momentum; None in a box, which has directions.
        ellipse: Worst change of the Laplace–Runge–Lenz vector; None but for two bodies.
        closest: Smallest distance of two bodies at a frame; None for a single body.
    """

    trajectories: int
    energy: float
    momentum: float | None
    spin: float | None
    ellipse: float | None
    closest: float | None


def worst(system: System, n: int, paper: bool) -> Worst:
    """Conserved quantities of a default data set with its default integrator.

    Arguments:
        system: Which.
        n: How many trajectories.
        paper: The set with the parameters of the paper rather than random ones.

    Returns:
        The worst of them.
    """
    times = DT * np.arange(FRAMES)
    states = drawn(system, n, paper)
    q, p, ok = trajectories(system, integrators.choose(system), states, times)
    energy = rollout.energy(system, q, p, states.params)
    momentum = spin = ellipse = closest = None
    if system.bodies > 1:
        xy = positions(system, q, states.params).reshape(n, FRAMES, system.bodies, 2)
        apart = [xy[:, :, i] - xy[:, :, j] for i in range(system.bodies) for j in range(i)]
        if side := canvas.box_side(system, states.params):
            apart = [each - side * np.round(each / side) for each in apart]
        closest = float(np.min([np.hypot(*np.moveaxis(each, -1, 0)).min() for each in apart]))
    alone = system.bodies > 1 and ("G" in system.columns or system.box)
    if alone:  # nothing but the bodies attracts them
        total = p.reshape(n, FRAMES, system.bodies, 2).sum(axis=2)
        momentum = float(abs(total - total[:, :1]).max())
    if alone and not system.box:
        turning = (q[..., ::2] * p[..., 1::2] - q[..., 1::2] * p[..., ::2]).sum(axis=2)
        spin = float(abs(turning - turning[:, :1]).max())
    if "G" in system.columns and system.bodies == 2:
        vector = laplace_runge_lenz(q, p, states.params)
        ellipse = float(abs(vector - vector[:, :1]).max())
    error = energy_error(system, states, energy).max() if ok.all() else float("nan")
    return Worst(n, float(error), momentum, spin, ellipse, closest)


def laplace_runge_lenz(q: np.ndarray, p: np.ndarray, params: np.ndarray) -> np.ndarray:
    """V × L/μ − r/‖r‖ of two bodies: points to where they are closest, as long as e.

    Arguments:
        q: Positions, (n, T, 4).
        p: Momenta, (n, T, 4).
        params: Masses and G, (n, 3).

    Returns:
        (n, T, 2).
    """
    m1, m2, G = (params[:, None, i, None] for i in range(3))
    x = q[..., 2:] - q[..., :2]
    v = p[..., 2:] / m2 - p[..., :2] / m1
    spin = x[..., :1] * v[..., 1:] - x[..., 1:] * v[..., :1]
    turned = np.concatenate([v[..., 1:], -v[..., :1]], axis=-1) * spin
    return turned / (G * (m1 + m2)) - x / np.linalg.norm(x, axis=-1, keepdims=True)
