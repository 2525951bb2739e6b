"""A mass on a spring: the harmonic oscillator.

    H = p²/(2m) + k q²/2

q is the displacement, p the momentum; the motion has the angular frequency ω = √(k/m) at every
amplitude. The mass is drawn on the vertical through the middle of the canvas, at height q.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from physim.fields import CLOSED_FORM, ENERGY, FIELD, POSITIONS, SAMPLER, kernel
from physim.systems.parameters import Parameter, fixed, uniform
from physim.systems.system import Sampler, System


@kernel(ENERGY)
def hamiltonian(q, p, params):
    """Kinetic and elastic energy."""
    m, k = params[0], params[1]
    return p[0] * p[0] / (2.0 * m) + 0.5 * k * q[0] * q[0]


@kernel(FIELD)
def dh_dq(q, p, params, out):
    """∂H/∂q = k q."""
    out[0] = params[1] * q[0]


@kernel(FIELD)
def dh_dp(q, p, params, out):
    """∂H/∂p = p/m."""
    out[0] = p[0] / params[0]


@kernel(POSITIONS)
def positions(q, params, xy):
    """The mass moves up and down."""
    xy[0] = 0.0
    xy[1] = q[0]


@kernel(SAMPLER)
def annulus(initial, u, params, q, p):
    """A uniform angle; p is scaled by √(km), so that the circle has one energy."""
    angle = 2.0 * math.pi * u[0]
    q[0] = initial[0] * math.cos(angle)
    p[0] = initial[0] * math.sin(angle) * math.sqrt(params[0] * params[1])


@kernel(CLOSED_FORM)
def closed_form(q0, p0, params, times, q, p):
    """A rotation in the plane of q and p/(mω)."""
    m, k = params[0], params[1]
    omega = math.sqrt(k / m)
    impedance = math.sqrt(k * m)
    for i in range(times.size):
        cosine = math.cos(omega * times[i])
        sine = math.sin(omega * times[i])
        q[i, 0] = q0[0] * cosine + p0[0] / impedance * sine
        p[i, 0] = p0[0] * cosine - q0[0] * impedance * sine
    return True


def dm_half_width(largest: Mapping[str, float]) -> float:
    """Amplitude and disc."""
    return largest["radius"] + float(np.sqrt(largest["m"] / np.pi))


SYSTEM = System(
    name="mass_spring",
    summary="a mass on a spring",
    formula="p²/(2m) + k q²/2",
    dimension=1,
    bodies=1,
    parameters=(
        Parameter("m", "mass", default=uniform(0.25, 0.75), paper=fixed(0.5)),
        Parameter("k", "stiffness", default=uniform(1.0, 3.0), paper=fixed(2.0)),
    ),
    samplers=(
        Sampler(
            name="annulus",
            summary="(q, p/√(km)) at a uniform angle on a circle of this radius",
            settings=(
                Parameter(
                    "radius", "amplitude", uniform(0.1, 1.0), uniform(0.1, 1.0), positive=False
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
    coordinates={"q": "displacement (length)", "p": "momentum (mass · length / time)"},
    reference="Toth et al. (2019), Hamiltonian Generative Networks, section 4",
)
