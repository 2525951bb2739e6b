"""A double pendulum: a pendulum that hangs from the bob of another, in the plane.

    H = [m₂ l₂² p₁² + (m₁ + m₂) l₁² p₂² − 2 m₂ l₁ l₂ p₁ p₂ cos Δ] / [2 m₂ l₁² l₂² (m₁ + m₂ sin² Δ)]
        + (m₁ + m₂) g l₁ (1 − cos q₁) + m₂ g l₂ (1 − cos q₂),    Δ = q₁ − q₂

q₁ and q₂ are the angles of the two rods from hanging straight down, in radians, counter-clockwise
and never wrapped. The kinetic energy depends on the angles: H does not separate, so that neither
leapfrog nor any other splitting applies. The motion is chaotic at most energies.

The zero of energy is at rest, hanging down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from physim.fields import ENERGY, FIELD, POSITIONS, SAMPLER, kernel
from physim.systems.parameters import Parameter, fixed, uniform
from physim.systems.system import Sampler, System


@kernel(ENERGY)
def hamiltonian(q, p, params):
    """Kinetic and potential energy; 2 sin²(q/2) for 1 − cos q keeps small swings accurate."""
    m1, m2, l1, l2, g = params[0], params[1], params[2], params[3], params[4]
    sine = np.sin(q[0] - q[1])
    cosine = np.cos(q[0] - q[1])
    half1 = np.sin(0.5 * q[0])
    half2 = np.sin(0.5 * q[1])
    u = p[0] / l1
    v = p[1] / l2
    kinetic = (m2 * u * u + (m1 + m2) * v * v - 2.0 * m2 * u * v * cosine) / (
        2.0 * m2 * (m1 + m2 * sine * sine)
    )
    return kinetic + 2.0 * g * ((m1 + m2) * l1 * half1 * half1 + m2 * l2 * half2 * half2)


@kernel(FIELD)
def dh_dq(q, p, params, out):
    """∂H/∂q: what changes with Δ, once with each sign, and the weight of the bobs."""
    m1, m2, l1, l2, g = params[0], params[1], params[2], params[3], params[4]
    sine = math.sin(q[0] - q[1])
    cosine = math.cos(q[0] - q[1])
    u = p[0] / l1
    v = p[1] / l2
    mass = m1 + m2 * sine * sine
    form = m2 * u * u + (m1 + m2) * v * v - 2.0 * m2 * u * v * cosine
    turn = sine * (u * v - form * cosine / mass) / mass
    out[0] = turn + (m1 + m2) * g * l1 * math.sin(q[0])
    out[1] = -turn + m2 * g * l2 * math.sin(q[1])


@kernel(FIELD)
def dh_dp(q, p, params, out):
    """∂H/∂p, the angular velocities."""
    m1, m2, l1, l2 = params[0], params[1], params[2], params[3]
    sine = math.sin(q[0] - q[1])
    cosine = math.cos(q[0] - q[1])
    u = p[0] / l1
    v = p[1] / l2
    mass = m1 + m2 * sine * sine
    out[0] = (u - v * cosine) / (l1 * mass)
    out[1] = ((m1 + m2) / m2 * v - u * cosine) / (l2 * mass)


@kernel(POSITIONS)
def positions(q, params, xy):
    """The second bob hangs from the first."""
    xy[0] = params[2] * math.sin(q[0])
    xy[1] = -params[2] * math.cos(q[0])
    xy[2] = xy[0] + params[3] * math.sin(q[1])
    xy[3] = xy[1] - params[3] * math.cos(q[1])


@kernel(SAMPLER)
def annuli(initial, u, params, q, p):
    """For each arm a uniform angle in its own phase space, on a circle of its own radius."""
    for arm in range(2):
        angle = 2.0 * math.pi * u[arm]
        q[arm] = initial[arm] * math.cos(angle)
        p[arm] = initial[arm] * math.sin(angle)


def dm_half_width(largest: Mapping[str, float]) -> float:
    """Both rods and a disc."""
    return 2.0 * largest["l"] + float(np.sqrt(largest["m"] / np.pi))


SYSTEM = System(
    name="double_pendulum",
    summary="a pendulum that hangs from another; chaotic, and H does not separate",
    formula=(
        "[m₂ l₂² p₁² + (m₁+m₂) l₁² p₂² − 2 m₂ l₁ l₂ p₁ p₂ cos Δ] / [2 m₂ l₁² l₂² (m₁ + m₂ sin² Δ)]"
        " + (m₁+m₂) g l₁ (1 − cos q₁) + m₂ g l₂ (1 − cos q₂), Δ = q₁ − q₂"
    ),
    dimension=2,
    bodies=2,
    parameters=(
        Parameter("m", "mass of each bob", uniform(0.4, 0.6), fixed(0.5), components=2),
        Parameter("l", "length of each rod", uniform(0.75, 1.0), fixed(1.0), components=2),
        Parameter("g", "gravity", default=uniform(2.5, 4.0), paper=fixed(3.0)),
    ),
    samplers=(
        Sampler(
            name="annuli",
            summary="for each arm (q, p) at a uniform angle on a circle of its own radius",
            settings=(
                Parameter(
                    "radius",
                    "radius for each arm",
                    uniform(1.3, 2.3),
                    uniform(1.3, 2.3),
                    components=2,
                    positive=False,
                ),
            ),
            draws=2,
            kernel=annuli,
        ),
    ),
    hamiltonian=hamiltonian,
    dh_dq=dh_dq,
    dh_dp=dh_dp,
    separable=False,
    positions=positions,
    half_width=3.0,
    disc_radius=0.5 / math.sqrt(0.5),
    dm_half_width=dm_half_width,
    default_integrator="gauss_radau",
    coordinates={"q": "angle (rad)", "p": "angular momentum (mass · length² / time)"},
    reference="Botev et al. (2021), Which priors matter? (the system of their data set suite)",
)
