"""The default integrators against independent solvers: SciPy's and mpmath's."""

from __future__ import annotations

from types import FunctionType

import numpy as np

from physim import integrators
from physim.accuracy.studies import DT, FRAMES, States, trajectories
from physim.systems.system import System


def scipy_differences(system: System, states: States) -> np.ndarray:
    """Largest differences of a stored coordinate from SciPy's DOP853 at rtol 1e-13.

    Arguments:
        system: Which.
        states: From where, n of them.

    Returns:
        (n,) the largest over 30 frames; nan where one of the two came to no end.
    """
    from scipy.integrate import solve_ivp

    times = DT * np.arange(FRAMES)
    q, p, ok = trajectories(system, integrators.choose(system), states, times)
    differences = np.where(ok, 0.0, np.nan)
    d = system.dimension
    slopes = np.empty(2 * d)
    for i, row in enumerate(states.params):

        def field(_: float, y: np.ndarray, row: np.ndarray = row) -> np.ndarray:
            system.dh_dp(y[:d], y[d:], row, slopes[:d])
            system.dh_dq(y[:d], y[d:], row, slopes[d:])
            slopes[d:] *= -1
            return slopes.copy()

        y = np.concatenate([states.q[i], states.p[i]])
        for t in range(1, FRAMES):
            found = solve_ivp(field, times[t - 1 : t + 1], y, "DOP853", rtol=1e-13, atol=1e-15)
            y = found.y[:, -1] if found.success else np.full(2 * d, np.nan)
            difference = abs(np.concatenate([q[i, t], p[i, t]]) - y).max()
            differences[i] = np.maximum(differences[i], difference)  # keeps a nan
            if not found.success:
                break
    return differences


def taylor_difference(system: System, states: States, frames: tuple[int, ...]) -> float:
    """Largest difference of a stored coordinate from mpmath's Taylor method.

    The slopes are complex steps of the system's H, evaluated with 22 digits.

    Arguments:
        system: Which.
        states: From where.
        frames: Which frames to compare, rising.

    Returns:
        The largest difference; nan where one of the two came to no end.
    """
    import mpmath

    times = DT * np.array(frames)
    q, p, ok = trajectories(system, integrators.choose(system), states, times)
    if not ok.all():
        return float("nan")
    d, differences = system.dimension, []
    # The same lines of Python, with mpmath's functions in place of NumPy's.
    python = system.hamiltonian.python
    energy = FunctionType(python.__code__, {**python.__globals__, "np": mpmath.mp})
    with mpmath.workdps(22):
        h = mpmath.mpf(10) ** -22
        for i, row in enumerate(states.params):
            numbers = [mpmath.mpf(float(value)) for value in row]

            def field(_: object, y: list, numbers: list = numbers) -> list:
                z = np.array([mpmath.mpc(value) for value in y], dtype=object)
                out = []
                for j in range(2 * d):
                    z[j] += 1j * h
                    out.append(energy(z[:d], z[d:], numbers).imag / h)
                    z[j] -= 1j * h
                return [*out[d:], *(-value for value in out[:d])]

            start = [mpmath.mpf(float(value)) for value in [*states.q[i], *states.p[i]]]
            solved = mpmath.odefun(field, 0, start, tol=mpmath.mpf(10) ** -17)
            for t, at in enumerate(times):
                ours = np.concatenate([q[i, t], p[i, t]])
                right = np.array([float(value) for value in solved(float(at))])
                differences.append(abs(ours - right).max())
    return float(np.max(differences))  # np.max keeps a nan, which max loses
