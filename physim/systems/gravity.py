"""Bodies that attract each other by gravity in the plane: two, three, or any number from 2 to 8.

    H = Σ_i ‖p_i‖²/(2 m_i) − Σ_{i<j} G m_i m_j / ‖q_i − q_j‖

q holds x₁, y₁, x₂, y₂, …; p the momenta in the same order. The same compiled functions serve any
number of bodies, which they read off the length of q.

Start. The bodies stand on a regular polygon and turn about their common centre of mass, which
rests at the origin, like a rigid body at

    ω² = G S ⟨m⟩ / r³,    S = ¼ Σ_{k=1}^{n−1} 1/sin(πk/n)

with r the radius of the polygon and ⟨m⟩ the mean mass. For two and three bodies this is a solution
(circular orbits, Lagrange's triangle) whatever the masses, for more bodies only with equal ones.

Closed form. Two bodies follow Kepler's law about their centre of mass, which moves uniformly. In
the universal variable s with ds = dt/r one set of formulas holds for ellipses, parabolas and
hyperbolas.

References: Battin (1999), An Introduction to the Mathematics and Methods of Astrodynamics, section
4.5; Conway (1986), "An improved algorithm due to Laguerre for the solution of Kepler's equation".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np

from physim.fields import CLOSED_FORM, ENERGY, FIELD, POSITIONS, SAMPLER, kernel, subroutine
from physim.systems.parameters import Parameter, fixed, uniform
from physim.systems.system import Sampler, System

_ITERATIONS = 60


@kernel(ENERGY)
def hamiltonian(q, p, params):
    """Kinetic energy and the potential of every pair."""
    n = q.size // 2
    energy = 0.0 * (q[0] + p[0])
    for i in range(n):
        energy += (p[2 * i] * p[2 * i] + p[2 * i + 1] * p[2 * i + 1]) / (2.0 * params[i])
        for j in range(i):
            x = q[2 * i] - q[2 * j]
            y = q[2 * i + 1] - q[2 * j + 1]
            energy -= params[n] * params[i] * params[j] / np.sqrt(x * x + y * y)
    return energy


@kernel(FIELD)
def dh_dq(q, p, params, out):
    """∂H/∂q_i = Σ_j G m_i m_j (q_i − q_j)/‖q_i − q_j‖³."""
    n = q.size // 2
    for i in range(n):
        total_x = 0.0
        total_y = 0.0
        for j in range(i):
            x = q[2 * i] - q[2 * j]
            y = q[2 * i + 1] - q[2 * j + 1]
            square = x * x + y * y
            pull = params[n] * params[i] * params[j] / (square * math.sqrt(square))
            total_x += pull * x
            total_y += pull * y
            out[2 * j] -= pull * x
            out[2 * j + 1] -= pull * y
        out[2 * i] = total_x
        out[2 * i + 1] = total_y


@kernel(FIELD)
def dh_dp(q, p, params, out):
    """∂H/∂p_i = p_i/m_i."""
    for i in range(q.size // 2):
        out[2 * i] = p[2 * i] / params[i]
        out[2 * i + 1] = p[2 * i + 1] / params[i]


@kernel(POSITIONS)
def positions(q, params, xy):
    """The bodies are where q says."""
    for i in range(q.size):
        xy[i] = q[i]


@subroutine
def _polygon(radius, angle, sense, params, q, p):
    """A regular polygon that turns about its centre of mass, the origin; `p` are velocities."""
    n = q.size // 2
    total = 0.0
    form = 0.0
    centre_x = 0.0
    centre_y = 0.0
    for i in range(n):
        q[2 * i] = radius * math.cos(angle + 2.0 * math.pi * i / n)
        q[2 * i + 1] = radius * math.sin(angle + 2.0 * math.pi * i / n)
        centre_x += params[i] * q[2 * i]
        centre_y += params[i] * q[2 * i + 1]
        total += params[i]
        if i > 0:
            form += 0.25 / math.sin(math.pi * i / n)
    omega = sense * math.sqrt(params[n] * form * total / n / radius**3)
    for i in range(n):
        q[2 * i] -= centre_x / total
        q[2 * i + 1] -= centre_y / total
        p[2 * i] = -omega * q[2 * i + 1]
        p[2 * i + 1] = omega * q[2 * i]


@subroutine
def _momenta(params, p):
    """Velocities to momenta that sum to zero."""
    n = p.size // 2
    for axis in range(2):
        total = 0.0
        drift = 0.0
        for i in range(n):
            drift += params[i] * p[2 * i + axis]
            total += params[i]
        for i in range(n):
            p[2 * i + axis] = params[i] * (p[2 * i + axis] - drift / total)


@kernel(SAMPLER)
def orbit(initial, u, params, q, p):
    """A polygon at a random angle, turning either way, each velocity component off by up to ε."""
    sense = 1.0 if u[1] < 0.5 else -1.0
    _polygon(initial[0], 2.0 * math.pi * u[0], sense, params, q, p)
    for i in range(p.size):
        p[i] *= 1.0 + initial[1] * (2.0 * u[2 + i] - 1.0)
    _momenta(params, p)


@kernel(SAMPLER)
def square(initial, u, params, q, p):
    """The first body at (x, y) from the centre of the polygon, all on circles, clockwise."""
    radius = math.hypot(initial[0], initial[1])
    _polygon(radius, math.atan2(initial[1], initial[0]), -1.0, params, q, p)
    _momenta(params, p)


@subroutine
def _stumpff(s, beta):
    """G₁, G₂ and G₃ of the universal variable: sin(√β s)/√β and its integrals over s."""
    x = beta * s * s
    if abs(x) < 1.0:
        c2 = 0.0
        c3 = 0.0
        for k in range(10, 0, -1):
            c2 = 1.0 / ((2 * k - 1) * (2 * k)) * (1.0 - x * c2)
            c3 = 1.0 / ((2 * k) * (2 * k + 1)) * (1.0 - x * c3)
        return s * (1.0 - x * c3), s * s * c2, s * s * s * c3
    if beta > 0.0:
        root = math.sqrt(beta)
        g1 = math.sin(root * s) / root
        half = math.sin(0.5 * root * s)
        return g1, 2.0 * half * half / beta, (s - g1) / beta
    root = math.sqrt(-beta)
    g1 = math.sinh(root * s) / root
    half = math.sinh(0.5 * root * s)
    return g1, -2.0 * half * half / beta, (s - g1) / beta


@subroutine
def _reach(t, mu, beta, r0, eta):
    """A bound of |s|, for t at most half a period from 0 where there is one."""
    if beta > 0.0:
        return 2.0 * math.pi / math.sqrt(beta)
    root = math.sqrt(-beta)
    if root == 0.0:  # μ s³/12 is more than |η| s²/2, and as much as |t|
        return max(6.0 * abs(eta) / mu, (12.0 * abs(t) / mu) ** (1.0 / 3.0))
    # F = F₀ + √(−β) s, e sinh F − F = M₀ + n t, e ≥ 1, and sinh F − F > sinh F / 2 from 2.2 on
    sine, cosine = eta * root / mu, 1.0 - beta * r0 / mu  # e sinh F₀ and e cosh F₀
    start = math.atanh(max(-1.0 + 1e-16, min(1.0 - 1e-16, sine / cosine)))
    mean = abs(sine - start) + root**3 / mu * abs(t)
    return (abs(start) + max(2.2, math.asinh(2.0 * mean))) / root


@subroutine
def _universal(t, mu, beta, r0, eta, guess):
    """The s at which t = r₀ G₁ + η G₂ + μ G₃, by Laguerre's method inside a bracket.

    t grows with s, as dt/ds = r > 0, and is 0 where s is. Not a number where it is not found.
    """
    if t == 0.0:  # beside an s of 0 no step is small
        return 0.0
    reach = _reach(t, mu, beta, r0, eta)
    low, high = (0.0, reach) if t > 0.0 else (-reach, 0.0)
    s = min(high, max(low, guess))
    residual, rounding = math.inf, 0.0
    for _ in range(_ITERATIONS):
        g1, g2, g3 = _stumpff(s, beta)
        residual = r0 * g1 + eta * g2 + mu * g3 - t
        rounding = 2e-16 * (abs(t) + abs(r0 * g1) + abs(eta * g2) + abs(mu * g3))
        g0 = 1.0 - beta * g2
        r = r0 * g0 + eta * g1 + mu * g2
        if residual == 0.0:
            return s
        if residual > 0.0:
            high = min(high, s)
        else:
            low = max(low, s)
        bend = eta * g0 + (mu - beta * r0) * g1
        step = -5.0 * residual / (r + math.sqrt(abs(16.0 * r * r - 20.0 * residual * bend)))
        if not low < s + step < high:
            if abs(residual) <= 2.0 * rounding:
                return s
            step = 0.5 * (low + high) - s
        s += step
        if abs(step) <= 2e-16 * abs(s):
            return s
    return s if abs(residual) <= 100.0 * rounding else math.nan


@subroutine
def _falls_into_the_other(t, mu, beta, r0, eta):
    """Whether two bodies without angular momentum meet between 0 and t."""
    if beta > 0.0:
        # The eccentric anomaly x, 0 and 2π where they meet; M = x − sin x grows with time.
        x = math.atan2(eta * math.sqrt(beta), mu - beta * r0)
        if x < 0.0:
            x += 2.0 * math.pi
        mean = x - math.sin(x) + beta * math.sqrt(beta) / mu * t
        return mean <= 1e-12 or mean >= 2.0 * math.pi - 1e-12
    if eta * t >= 0.0:
        return False
    # Unbound and approaching: they meet where G₁ and G₂ bring r = r₀ G₀ + η G₁ + μ G₂ to zero.
    root = math.sqrt(-beta)
    s = (
        abs(eta) / mu
        if root == 0.0
        else math.atanh(min(1.0, abs(eta) * root / (mu - beta * r0))) / root
    )
    g1, g2, g3 = _stumpff(s, beta)
    return abs(t) >= r0 * g1 - abs(eta) * g2 + mu * g3 - 1e-12 * abs(t)


@kernel(CLOSED_FORM)
def closed_form(q0, p0, params, times, q, p):
    """Kepler's problem for two bodies, in universal variables."""
    m1, m2 = params[0], params[1]
    total = m1 + m2
    mu = params[2] * total
    x0 = q0[2] - q0[0]
    y0 = q0[3] - q0[1]
    u0 = p0[2] / m2 - p0[0] / m1
    v0 = p0[3] / m2 - p0[1] / m1
    r0 = math.hypot(x0, y0)
    if not r0 > 0.0:
        return False
    centre_x = (m1 * q0[0] + m2 * q0[2]) / total
    centre_y = (m1 * q0[1] + m2 * q0[3]) / total
    drift_x = (p0[0] + p0[2]) / total
    drift_y = (p0[1] + p0[3]) / total
    eta = x0 * u0 + y0 * v0
    beta = 2.0 * mu / r0 - (u0 * u0 + v0 * v0)
    spin = x0 * v0 - y0 * u0
    # Closest approach ≈ spin²/(2μ): below the rounding of the positions nothing keeps them apart.
    radial = spin * spin <= 2e-15 * mu * r0
    rate = beta * math.sqrt(beta) / mu if beta > 0.0 else 0.0
    s = 0.0
    before = 0.0
    for i in range(times.size):
        time = times[i]
        if radial and _falls_into_the_other(time, mu, beta, r0, eta):
            return False
        t = time
        if rate > 0.0:
            t -= np.round(time * rate / (2.0 * math.pi)) * (2.0 * math.pi / rate)
        r = math.hypot(q[i - 1, 2] - q[i - 1, 0], q[i - 1, 3] - q[i - 1, 1]) if i > 0 else r0
        guess = s + (t - before) / r
        s = _universal(t, mu, beta, r0, eta, guess)
        if not math.isfinite(s):
            return False
        before = t
        g1, g2, _ = _stumpff(s, beta)
        r = r0 + eta * g1 + (mu - beta * r0) * g2
        f = 1.0 - mu / r0 * g2
        g = r0 * g1 + eta * g2
        f_dot = -mu / (r * r0) * g1
        g_dot = 1.0 - mu / r * g2
        x = f * x0 + g * u0
        y = f * y0 + g * v0
        u = f_dot * x0 + g_dot * u0
        v = f_dot * y0 + g_dot * v0
        centre_now_x = centre_x + drift_x * time
        centre_now_y = centre_y + drift_y * time
        q[i, 0] = centre_now_x - m2 / total * x
        q[i, 1] = centre_now_y - m2 / total * y
        q[i, 2] = centre_now_x + m1 / total * x
        q[i, 3] = centre_now_y + m1 / total * y
        p[i, 0] = m1 * (drift_x - m2 / total * u)
        p[i, 1] = m1 * (drift_y - m2 / total * v)
        p[i, 2] = m2 * (drift_x + m1 / total * u)
        p[i, 3] = m2 * (drift_y + m1 / total * v)
    return True


def dm_half_width(largest: Mapping[str, float]) -> float:
    """The suite's two canvases: 2.75 for unit masses and G, 5 where they may be larger."""
    return 2.75 if largest["m"] <= 1.0 and largest["G"] <= 1.0 else 5.0


@cache
def of_bodies(name: str, bodies: int) -> System:
    """The system with a given number of bodies.

    Arguments:
        name: What it is called: `two_body`, `three_body` or `n_body`.
        bodies: How many.

    Returns:
        The system.
    """
    radius = {2: uniform(0.5, 1.5), 3: uniform(0.9, 1.2)}.get(bodies, uniform(1.2, 1.6))
    return System(
        name=name,
        summary=f"{bodies} bodies under their own gravity, in the plane",
        formula="Σ ‖p_i‖²/(2 m_i) − Σ_{i<j} G m_i m_j / ‖q_i − q_j‖",
        dimension=2 * bodies,
        bodies=bodies,
        parameters=(
            Parameter(
                "m", "mass of each body", uniform(0.75, 1.25), fixed(1.0), components=bodies
            ),
            Parameter("G", "gravity", default=uniform(0.75, 1.25), paper=fixed(1.0)),
        ),
        samplers=(
            Sampler(
                name="orbit",
                summary="on a regular polygon of this radius, turning about the centre of mass at "
                "rest, each velocity component then off by a factor of up to 1 ± perturbation",
                settings=(
                    Parameter("radius", "radius of the polygon", radius, radius),
                    Parameter(
                        "perturbation", "of velocities", fixed(0.1), fixed(0.1), positive=False
                    ),
                ),
                draws=2 + 2 * bodies,
                kernel=orbit,
            ),
            Sampler(
                name="square",
                summary="on circular orbits, clockwise; the first body's x and y, seen from the "
                "polygon's centre, are drawn independently",
                settings=(
                    Parameter("corner", "x and y of the first body", radius, radius, components=2),
                ),
                draws=0,
                kernel=square,
            ),
        ),
        hamiltonian=hamiltonian,
        dh_dq=dh_dq,
        dh_dp=dh_dp,
        separable=True,
        positions=positions,
        half_width=3.0,
        disc_radius=0.5 if bodies == 2 else 0.25,
        dm_half_width=dm_half_width,
        default_integrator="closed_form" if bodies == 2 else "gauss_radau",
        closed_form=closed_form if bodies == 2 else None,
        coordinates={"q": "position (length)", "p": "momentum (mass · length / time)"},
        reference="Toth et al. (2019), Hamiltonian Generative Networks, section 4",
    )
