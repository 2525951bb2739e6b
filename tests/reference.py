"""Truth about the physics, from the Hamiltonians alone.

Nothing here is taken from physim but the names of the parameters: each H is written down once more
as the textbook has it, its gradient is the complex step of that, and trajectories come from
SciPy's DOP853 or, where that is not enough, from mpmath's Taylor method.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
from scipy.integrate import solve_ivp

from physim import seeds, systems
from physim.systems.parameters import LAWS


def hamiltonian(name, q, p, params, lib=np):
    """H of real, complex or mpmath numbers."""
    if name == "mass_spring":
        m, k = params
        return p[0] ** 2 / (2 * m) + k * q[0] ** 2 / 2
    if name == "pendulum":
        m, length, g = params
        return p[0] ** 2 / (2 * m * length**2) + m * g * length * (1 - lib.cos(q[0]))
    if name == "double_pendulum":
        m1, m2, l1, l2, g = params
        top = (
            m2 * l2**2 * p[0] ** 2
            + (m1 + m2) * l1**2 * p[1] ** 2
            - 2 * m2 * l1 * l2 * p[0] * p[1] * lib.cos(q[0] - q[1])
        )
        bottom = 2 * m2 * l1**2 * l2**2 * (m1 + m2 * lib.sin(q[0] - q[1]) ** 2)
        height1 = l1 * (1 - lib.cos(q[0]))
        height2 = height1 + l2 * (1 - lib.cos(q[1]))
        return top / bottom + m1 * g * height1 + m2 * g * height2
    if name == "lennard_jones":
        return _lennard_jones(q, p, params, lib)
    if name not in ("two_body", "three_body", "n_body"):
        raise ValueError(f"write the H of {name} down here once more")
    n = len(q) // 2
    m, G = params[:n], params[n]
    total = sum((p[2 * i] ** 2 + p[2 * i + 1] ** 2) / (2 * m[i]) for i in range(n))
    for i in range(n):
        for j in range(i + 1, n):
            distance = lib.sqrt((q[2 * i] - q[2 * j]) ** 2 + (q[2 * i + 1] - q[2 * j + 1]) ** 2)
            total = total - G * m[i] * m[j] / distance
    return total


def _lennard_jones(q, p, params, lib):
    n = len(q) // 2
    m, epsilon, side = params[:n], params[n], params[n + 1]
    cutoff = 4 if side >= 8 else side / 2
    total = sum((p[2 * i] ** 2 + p[2 * i + 1] ** 2) / (2 * m[i]) for i in range(n))
    for i in range(n):
        for j in range(i + 1, n):
            x, y = q[2 * i] - q[2 * j], q[2 * i + 1] - q[2 * j + 1]
            x = x - round(float(x.real) / float(side)) * side  # the nearest image
            y = y - round(float(y.real) / float(side)) * side
            r2 = x**2 + y**2
            r = lib.sqrt(r2)
            if r.real >= cutoff:
                continue
            end = lib.exp(-((5 * r / (4 * cutoff)) ** 16))
            total = total + 4 * epsilon * (r**-12 - r**-6) * end
    return total


def gradients(name, q, p, params):
    """(∂H/∂q, ∂H/∂p) by complex steps: no cancellation, so as accurate as H itself."""
    d, h = len(q), 1e-30
    z = np.concatenate([q, p]).astype(complex)
    slopes = np.empty(2 * d)
    for i in range(2 * d):
        z[i] += 1j * h
        slopes[i] = hamiltonian(name, z[:d], z[d:], params).imag / h
        z[i] -= 1j * h
    return slopes[:d], slopes[d:]


def solution(name, q0, p0, params, times, friction=0.0):
    """States at `times` by SciPy's DOP853 at its smallest tolerance, (T, d) each."""
    d = len(q0)

    def slopes(_, y):
        dh_dq, dh_dp = gradients(name, y[:d], y[d:], params)
        return np.concatenate([dh_dp, -dh_dq - friction * dh_dp])

    start = np.concatenate([q0, p0])
    found = np.empty((len(times), 2 * d))
    now = 0.0
    for i, time in enumerate(times):
        if time != now:
            result = solve_ivp(slopes, (now, time), start, "DOP853", rtol=3e-14, atol=1e-15)
            assert result.success, result.message
            start, now = result.y[:, -1], time
        found[i] = start
    return found[:, :d], found[:, d:]


def taylor(name, q0, p0, params, times, digits=22):
    """States at rising `times` from mpmath's Taylor method, (T, d) each, exact in float64."""
    d = len(q0)
    with mpmath.workdps(digits):
        h = mpmath.mpf(10) ** (-digits)
        numbers = [mpmath.mpf(float(value)) for value in params]

        def slopes(_, y):
            z = [mpmath.mpc(value) for value in y]
            out = []
            for i in range(2 * d):
                z[i] += 1j * h
                out.append(hamiltonian(name, z[:d], z[d:], numbers, mpmath.mp).imag / h)
                z[i] -= 1j * h
            return [*out[d:], *(-value for value in out[:d])]

        start = [mpmath.mpf(float(value)) for value in [*q0, *p0]]
        solved = mpmath.odefun(slopes, 0, start, tol=mpmath.mpf(10) ** (-digits + 5))
        found = np.array([[float(value) for value in solved(float(time))] for time in times])
    return found[:, :d], found[:, d:]


def swing(q0, p0, params, times, digits=50):
    """A pendulum by mpmath's elliptic functions at high precision, (T,) angle and momentum.

    By inversion of the elliptic integral, not by the addition theorems that physim uses.
    """
    with mpmath.workdps(digits):
        m, length, g, q0, p0 = (mpmath.mpf(float(x)) for x in (*params, q0, p0))
        omega = mpmath.sqrt(g / length)
        turns = mpmath.nint(q0 / (2 * mpmath.pi))
        angle = q0 - 2 * mpmath.pi * turns
        half_speed = p0 / (2 * m * length**2 * omega)
        k2 = mpmath.sin(angle / 2) ** 2 + half_speed**2
        k = mpmath.sqrt(k2)
        rows = []
        for time in times:
            tau = omega * mpmath.mpf(float(time))
            if k2 < 1:
                phase = mpmath.atan2(mpmath.sin(angle / 2), half_speed)
                u = mpmath.ellipf(phase, k2) + tau
                q = 2 * mpmath.asin(k * mpmath.ellipfun("sn", u, m=k2))
                v = 2 * k * mpmath.ellipfun("cn", u, m=k2)
            else:
                sign = mpmath.sign(half_speed)
                u = sign * mpmath.ellipf(angle / 2, 1 / k2) + k * tau
                period = 2 * mpmath.ellipk(1 / k2)
                whole = mpmath.nint(u / period)
                rest = mpmath.asin(mpmath.ellipfun("sn", u - whole * period, m=1 / k2))
                q = sign * 2 * (rest + mpmath.pi * whole)
                v = sign * 2 * k * mpmath.ellipfun("dn", u, m=1 / k2)
            rows.append((float(q + 2 * mpmath.pi * turns), float(m * length**2 * omega * v)))
    return np.array(rows).T


def drawn(system, n, which="default", sampler=0, seed=1):
    """(params, q0, p0) of `n` trajectories from a system's sampler.

    `which` is `default` for the ranges of a recipe that says nothing, `paper` for the paper's
    values.
    """
    kind = system.samplers[sampler]
    laws = [
        getattr(entry, which)
        for entry in (*system.parameters, *kind.settings)
        for _ in range(entry.components)
    ]
    params = np.empty((n, system.n_params))
    q0, p0 = np.empty((n, system.dimension)), np.empty((n, system.dimension))
    seeds.initial_states(
        kind.kernel.compiled,
        np.array([LAWS.index(law.law) for law in laws]),
        np.array([law.low for law in laws]),
        np.array([law.high for law in laws]),
        kind.draws,
        seed,
        0,
        np.arange(n),
        np.zeros(n, dtype=np.int32),
        params,
        q0,
        p0,
    )
    return params, q0, p0


def polygon_speed(masses, G, radius):
    """Angular velocity of bodies of equal distances from their neighbours on a circle."""
    n = len(masses)
    shape = sum(1 / math.sin(math.pi * k / n) for k in range(1, n)) / 4
    return math.sqrt(G * shape * sum(masses) / n / radius**3)


SYSTEMS = [systems.find(name) for name in systems.SYSTEMS]


def kepler(q0, p0, t: float, digits: int = 50) -> np.ndarray:
    """Positions at t of two bodies with m = G = 1, by bisection of Kepler's equation."""
    with mpmath.workdps(digits):
        q, p = [mpmath.mpf(float(x)) for x in q0], [mpmath.mpf(float(x)) for x in p0]
        x, v, t = (q[2] - q[0], q[3] - q[1]), (p[2] - p[0], p[3] - p[1]), mpmath.mpf(float(t))
        r0, eta, mu = mpmath.hypot(*x), x[0] * v[0] + x[1] * v[1], mpmath.mpf(2)
        beta = 2 * mu / r0 - v[0] ** 2 - v[1] ** 2
        root, form = mpmath.sqrt(abs(beta)), (mpmath.sin if beta > 0 else mpmath.sinh)

        def parts(s):
            g1 = form(root * s) / root
            g2 = (1 - (mpmath.cos if beta > 0 else mpmath.cosh)(root * s)) / beta
            return g1, g2, (s - g1) / beta

        def late(s):
            g1, g2, g3 = parts(s)
            return r0 * g1 + eta * g2 + mu * g3 - t

        step = mpmath.sign(t)
        while late(step) * mpmath.sign(t) < 0:
            step *= 2
        low, high = sorted([mpmath.mpf(0), step])
        for _ in range(4 * digits):
            middle = (low + high) / 2
            low, high = (low, middle) if late(middle) > 0 else (middle, high)
        g1, g2, _ = parts(low)
        apart = [(1 - mu / r0 * g2) * x[k] + (r0 * g1 + eta * g2) * v[k] for k in (0, 1)]
        centre = [(q[k] + q[k + 2] + t * (p[k] + p[k + 2])) / 2 for k in (0, 1)]
        places = [centre[k] + sign * apart[k] / 2 for sign in (-1, 1) for k in (0, 1)]
        return np.array([float(place) for place in places])
