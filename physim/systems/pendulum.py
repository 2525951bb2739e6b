"""A pendulum: a bob on a massless rod in the plane.

    H = p²/(2 m l²) + m g l (1 − cos q)

q is the angle from hanging straight down, in radians, counter-clockwise and never wrapped; p the
angular momentum. Below H = 2 m g l the bob swings (libration), above it goes round (rotation), and
on the separatrix it takes forever to reach the top.

Closed form. With τ = t √(g/l), S = sin(q/2), C = cos(q/2) and V = (dq/dτ)/2, the modulus k of the
motion is given by k² = S² + V² and 1 − k² = (C − V)(C + V), a product that stays accurate next to
the separatrix. In libration S = k sn(u), V = k cn(u) and C = dn(u) with u = τ + u₀, so that the
addition theorems of the Jacobi functions give the state at τ from the state at 0 and from s, c, d
= sn, cn, dn of τ alone, with no elliptic integral of the first kind to invert:

    S = (S₀ c d + V₀ C₀ s) / D    V = (V₀ c − S₀ C₀ s d) / D    C = (C₀ d − S₀ V₀ s c) / D
    D = c² + s² C₀²

The same formulas hold in rotation, where the functions of a modulus above one are those of 1/k
with sn(τ, k) = sn(kτ, 1/k)/k, cn ↔ dn.

References: Abramowitz and Stegun (1964), Handbook of Mathematical Functions, sections 16.11 and
16.17; Bulirsch (1965), "Numerical calculation of elliptic integrals and elliptic functions".
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from physim.fields import CLOSED_FORM, ENERGY, FIELD, POSITIONS, SAMPLER, kernel, subroutine
from physim.systems.parameters import Parameter, fixed, uniform
from physim.systems.system import Sampler, System

_LEVELS = 16


@kernel(ENERGY)
def hamiltonian(q, p, params):
    """Kinetic and potential energy; 2 sin²(q/2) for 1 − cos q keeps small swings accurate."""
    m, length, g = params[0], params[1], params[2]
    half = np.sin(0.5 * q[0])
    return p[0] * p[0] / (2.0 * m * length * length) + 2.0 * m * g * length * half * half


@kernel(FIELD)
def dh_dq(q, p, params, out):
    """∂H/∂q = m g l sin q."""
    out[0] = params[0] * params[2] * params[1] * math.sin(q[0])


@kernel(FIELD)
def dh_dp(q, p, params, out):
    """∂H/∂p = p/(m l²)."""
    out[0] = p[0] / (params[0] * params[1] * params[1])


@kernel(POSITIONS)
def positions(q, params, xy):
    """The bob hangs down at q = 0."""
    xy[0] = params[1] * math.sin(q[0])
    xy[1] = -params[1] * math.cos(q[0])


@kernel(SAMPLER)
def annulus(initial, u, params, q, p):
    """A uniform angle in phase space; q and p are not scaled."""
    angle = 2.0 * math.pi * u[0]
    q[0] = initial[0] * math.cos(angle)
    p[0] = initial[0] * math.sin(angle)


@subroutine
def _means(complement, upper, lower):
    """The arithmetic-geometric means of 1 and √complement, all levels.

    Returns:
        (limit, levels): the common limit, and how many entries of `upper` and `lower` are used.
    """
    a = 1.0
    b = math.sqrt(complement)
    for level in range(_LEVELS):
        upper[level] = a
        lower[level] = b
        if abs(a - b) <= 1e-8 * a:
            return 0.5 * (a + b), level + 1
        a, b = 0.5 * (a + b), math.sqrt(a * b)
    return 0.5 * (a + b), _LEVELS


@subroutine
def _jacobi(u, limit, levels, upper, lower):
    """sn, cn, dn of `u` by Bulirsch's descending recurrence on ratios, all of one sign."""
    sine = math.sin(limit * u)
    cosine = math.cos(limit * u)
    dn = 1.0
    if sine == 0.0:
        return 0.0, cosine, 1.0
    a = cosine / sine
    c = a * limit
    for level in range(levels - 1, -1, -1):
        b = upper[level]
        a = a * c
        c = c * dn
        dn = (lower[level] + a) / (b + a)
        a = c / b
    sn = math.copysign(1.0 / math.sqrt(c * c + 1.0), sine)
    return sn, c * sn, dn


@kernel(CLOSED_FORM)
def closed_form(q0, p0, params, times, q, p):
    """Jacobi's elliptic functions; see the head of this file."""
    m, length, g = params[0], params[1], params[2]
    frequency = math.sqrt(g / length)
    momentum = 2.0 * m * length * length * frequency
    sine = math.sin(0.5 * q0[0])
    cosine = math.cos(0.5 * q0[0])
    if cosine < 0.0:
        sine, cosine = -sine, -cosine
    start = math.atan2(sine, cosine)
    turns = 0.5 * q0[0] - start
    speed = p0[0] / momentum
    sign = 1.0
    if speed < 0.0:
        sine, speed, start, sign = -sine, -speed, -start, -1.0
    complement = (cosine - speed) * (cosine + speed)
    modulus = math.sqrt(sine * sine + speed * speed)
    upper = np.empty(_LEVELS)
    lower = np.empty(_LEVELS)
    limit, levels = 1.0, 0
    if complement > 0.0:
        limit, levels = _means(complement, upper, lower)
    elif complement < 0.0:
        limit, levels = _means(-complement / (modulus * modulus), upper, lower)
    for i in range(times.size):
        tau = frequency * times[i]
        if complement > 0.0:
            s, c, d = _jacobi(tau, limit, levels, upper, lower)
        elif complement < 0.0:
            s, d, c = _jacobi(modulus * tau, limit, levels, upper, lower)
            s /= modulus
        else:
            s = math.tanh(tau)
            c = 1.0 / math.cosh(tau)
            d = c
        scale = 1.0 / (c * c + s * s * cosine * cosine)
        new_sine = (sine * c * d + speed * cosine * s) * scale
        new_cosine = (cosine * d - sine * speed * s * c) * scale
        half_angle = math.atan2(new_sine, new_cosine)
        if complement < 0.0:
            # Half a turn of q/2 takes 2K: between its multiples the angle is known up to half a
            # turn.
            middle = start + math.pi * (math.floor(modulus * tau * limit / math.pi) + 0.5)
            half_angle += 2.0 * math.pi * np.round((middle - half_angle) / (2.0 * math.pi))
        q[i, 0] = 2.0 * (turns + sign * half_angle)
        p[i, 0] = sign * momentum * (speed * c - sine * cosine * s * d) * scale
    return True


def dm_half_width(largest: Mapping[str, float]) -> float:
    """Rod and disc."""
    return largest["l"] + float(np.sqrt(largest["m"] / np.pi))


SYSTEM = System(
    name="pendulum",
    summary="a bob on a rod, swinging or going round",
    formula="p²/(2 m l²) + m g l (1 − cos q)",
    dimension=1,
    bodies=1,
    parameters=(
        Parameter("m", "mass", default=uniform(0.25, 0.75), paper=fixed(0.5)),
        Parameter("l", "length", default=uniform(0.75, 1.25), paper=fixed(1.0)),
        Parameter("g", "gravity", default=uniform(2.0, 4.0), paper=fixed(3.0)),
    ),
    samplers=(
        Sampler(
            name="annulus",
            summary="(q, p) at a uniform angle on a circle of this radius",
            settings=(
                Parameter(
                    "radius", "radius", uniform(1.3, 2.3), uniform(1.3, 2.3), positive=False
                ),
            ),
            draws=1,
            kernel=annulus,
        ),
    ),
    hamiltonian=hamiltonian,
    dh_dq=dh_dq,
    dh_dp=dh_dp,
    separable=True,
    positions=positions,
    half_width=2.0,
    disc_radius=0.5 / math.sqrt(0.5),
    dm_half_width=dm_half_width,
    default_integrator="closed_form",
    closed_form=closed_form,
    coordinates={"q": "angle (rad)", "p": "angular momentum (mass · length² / time)"},
    reference="Toth et al. (2019), Hamiltonian Generative Networks, section 4",
)
