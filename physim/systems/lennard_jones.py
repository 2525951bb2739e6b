"""Atoms of a noble gas in the plane, in a box whose opposite sides are one: from 2 to 16.

    H = Σ_i ‖p_i‖²/(2 m_i) + Σ_{i<j} 4 ε (r⁻¹² − r⁻⁶) s(r)

r is the distance of i from the nearest image of j, for the box of side L repeats itself in every
direction. Lengths are in units of σ, the distance at which the potential of two atoms is 0; its
least value is −ε at r = 2^(1/6). q holds x₁, y₁, x₂, y₂, …, which grow when an atom passes through
a side, as the angle of a pendulum that goes round does; p the momenta in the same order.

The potential must end at r_c = min(4, L/2), where a second image would begin to count. So it is
multiplied by

    s = exp(−(r/r_d)¹⁶),    r_d = 0.8 r_c,

which is 4e-16 at r_c, and 1 − 1e-4 at the minimum in a box of side 5. It is analytic: splines from
1 to 0, as in use elsewhere, have derivatives that jump, which limits the order of every method.

Start. Atoms on random sites of a square lattice, each moved at random as far as its neighbours
allow, then in contact with a bath of temperature T (k_B = 1): ten times all momenta are drawn
anew from N(0, m T), less the drift of the centre of mass, and each time a stretch of the motion
follows. So a trajectory begins in the middle of it, at a mean kinetic energy of (n − 1) T.

References: Allen and Tildesley (2017), Computer Simulation of Liquids, sections 1.3 and 1.6; for
the bath Andersen (1980), "Molecular dynamics simulations at constant pressure and/or temperature";
Botev et al. (2021), "Which priors matter?", whose data set suite has 4 and 16 atoms in the plane.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from physim.fields import ENERGY, FIELD, POSITIONS, SAMPLER, kernel, subroutine
from physim.systems import gravity
from physim.systems.parameters import Parameter, fixed, uniform
from physim.systems.system import Sampler, System

_CUTOFF = 4.0
_REACH = 0.8  # share of the cutoff; at the latter exp(−(r/r_d)¹⁶) is 4e-16
_APART = 1.0  # distance below which no two atoms start, if there is room
_CROWDED = 0.85  # distance of sites below which the first forces are too strong for the steps
_COLLISIONS = 10  # with the bath before the first frame, each with all atoms
_BETWEEN = 160  # steps from one to the next, and to the first frame
_STEP = 0.005  # in units of √(m/ε), or √(m/T) if that is shorter


@kernel(ENERGY)
def hamiltonian(q, p, params):
    """Kinetic energy and the potential of every pair."""
    n = q.size // 2
    depth, side = params[n], params[n + 1]
    end = min(_CUTOFF, side / 2) ** 2
    reach = end * _REACH**2
    energy = 0.0 * (q[0] + p[0])
    for i in range(n):
        energy += (p[2 * i] * p[2 * i] + p[2 * i + 1] * p[2 * i + 1]) / (2.0 * params[i])
        for j in range(i):
            x = q[2 * i] - q[2 * j]
            y = q[2 * i + 1] - q[2 * j + 1]
            x -= side * np.floor(x.real / side + 0.5)
            y -= side * np.floor(y.real / side + 0.5)
            square = x * x + y * y
            if square.real >= end:
                continue
            sixth = 1.0 / (square * square * square)
            pair = 4.0 * depth * sixth * (sixth - 1.0)
            pair *= np.exp(-((square / reach) ** 8))
            energy += pair
    return energy


@subroutine
def _slopes(q, params, out):
    """∂H/∂q."""
    n = q.size // 2
    depth, side = params[n], params[n + 1]
    end = min(_CUTOFF, side / 2) ** 2
    reach = end * _REACH**2
    for i in range(n):
        total_x = 0.0
        total_y = 0.0
        for j in range(i):
            x = q[2 * i] - q[2 * j]
            y = q[2 * i + 1] - q[2 * j + 1]
            x -= side * math.floor(x / side + 0.5)
            y -= side * math.floor(y / side + 0.5)
            square = x * x + y * y
            if square >= end:
                continue
            sixth = 1.0 / (square * square * square)
            pair = 4.0 * depth * sixth * (sixth - 1.0)
            damping = (square / reach) ** 8
            slope = 12.0 * depth * sixth * (1.0 - 2.0 * sixth) - 8.0 * damping * pair
            slope *= math.exp(-damping) / square  # ∂/∂r²
            total_x += 2.0 * slope * x
            total_y += 2.0 * slope * y
            out[2 * j] -= 2.0 * slope * x
            out[2 * j + 1] -= 2.0 * slope * y
        out[2 * i] = total_x
        out[2 * i + 1] = total_y


@kernel(FIELD)
def dh_dq(q, p, params, out):
    """∂H/∂q_i = Σ_j ∂V(r_ij)/∂q_i."""
    _slopes(q, params, out)


@kernel(POSITIONS)
def positions(q, params, xy):
    """The images in the box around the origin."""
    side = params[params.size - 1]
    for i in range(q.size):
        xy[i] = q[i] - side * math.floor(q[i] / side + 0.5)


@subroutine
def _heat(temperature, u, params, p):
    """Gaussian momenta without a total, two random numbers an atom."""
    n = p.size // 2
    mass = 0.0
    for i in range(n):
        mass += params[i]
        radius = math.sqrt(-2.0 * params[i] * temperature * math.log(1.0 - u[2 * i]))
        angle = 2.0 * math.pi * u[2 * i + 1]
        p[2 * i] = radius * math.cos(angle)
        p[2 * i + 1] = radius * math.sin(angle)
    for axis in range(2):
        total = 0.0
        for i in range(n):
            total += p[2 * i + axis]
        for i in range(n):
            p[2 * i + axis] -= params[i] / mass * total


@kernel(SAMPLER)
def thermal(initial, u, params, q, p):
    """A random lattice gas, after a while in contact with a bath of that temperature."""
    n = q.size // 2
    temperature, side = initial[0], params[n + 1]
    lightest = params[0]
    rows = math.ceil(math.sqrt(n))
    sites = np.arange(rows * rows)
    spacing = side / rows
    room = max(0.0, spacing - _APART)
    for i in range(n):
        lightest = min(lightest, params[i])
        chosen = i + int(u[i] * (sites.size - i))
        sites[i], sites[chosen] = sites[chosen], sites[i]
        for axis in range(2):
            place = sites[i] % rows if axis == 0 else sites[i] // rows
            k = 2 * i + axis
            q[k] = (place + 0.5) * spacing + room * (u[n + k] - 0.5) + side * u[3 * n + axis]
    dt = _STEP * math.sqrt(lightest / max(temperature, params[n]))
    slopes = np.empty_like(q)
    _slopes(q, params, slopes)
    for k in range(_COLLISIONS):
        first = 3 * n + 2 + k * 2 * n
        _heat(temperature, u[first : first + 2 * n], params, p)
        for _ in range(_BETWEEN):  # leapfrog
            for j in range(q.size):
                p[j] -= 0.5 * dt * slopes[j]
                q[j] += dt * p[j] / params[j // 2]
            _slopes(q, params, slopes)
            for j in range(q.size):
                p[j] -= 0.5 * dt * slopes[j]
    for j in range(q.size):
        q[j] -= side * math.floor(q[j] / side + 0.5)


@cache
def of_bodies(name: str, bodies: int) -> System:
    """The system with a given number of atoms.

    Arguments:
        name: What it is called.
        bodies: How many.

    Returns:
        The system.
    """
    side, rows = fixed(max(5.0, round(math.sqrt(2.0 * bodies), 2))), math.ceil(math.sqrt(bodies))
    return System(
        name=name,
        summary=f"{bodies} atoms in a periodic box, in the plane; lengths in units of σ",
        formula="Σ ‖p_i‖²/(2 m_i) + Σ_{i<j} 4 ε (r⁻¹² − r⁻⁶) exp(−(r/r_d)¹⁶), r = ‖q_i − q_j‖ to "
        "the nearest image, r_d = 0.8 min(4, L/2)",
        dimension=2 * bodies,
        bodies=bodies,
        parameters=(
            Parameter(
                "m", "mass of each atom", uniform(0.75, 1.25), fixed(1.0), components=bodies
            ),
            Parameter("epsilon", "depth of the potential", uniform(0.75, 1.25), fixed(1.0)),
            Parameter(
                "L", "side of the box (q is not wrapped)", side, side, least=_CROWDED * rows
            ),
        ),
        samplers=(
            Sampler(
                name="thermal",
                summary="in the middle of the motion, in contact with a bath of this temperature "
                "until then; the centre of mass rests",
                settings=(
                    Parameter("temperature", "temperature", uniform(0.5, 1.5), uniform(0.5, 1.5)),
                ),
                draws=3 * bodies + 2 + 2 * bodies * _COLLISIONS,
                kernel=thermal,
            ),
        ),
        hamiltonian=hamiltonian,
        dh_dq=dh_dq,
        dh_dp=gravity.dh_dp,  # p_i/m_i, masses first here too
        separable=True,
        positions=positions,
        half_width=side.low / 2,
        disc_radius=0.5,
        dm_half_width=lambda largest: largest["L"] / 2,
        default_integrator="gauss_radau",
        box="L",
        coordinates={"q": "position (σ)", "p": "momentum (mass · σ / time)"},
        reference="Botev et al. (2021), Which priors matter? (its molecular dynamics)",
    )
