"""The compiled signatures that systems offer and integrators call.

A system is a handful of small functions; an integrator takes them as arguments. Numba gives every
compiled function its own type, so that an integrator would be compiled again for each system
and at every start. With the declared signatures below all systems look alike: each function is
compiled once, cached on disk, and passed as a typed pointer, and an edited system is noticed.

Shapes in a signature: `d` degrees of freedom, `frames` times, `bodies` drawn bodies. All arrays
are float64 and C-contiguous, and outputs are written in place.
"""

from __future__ import annotations

from numba import types

from physim.kernels import Kernel, kernel, subroutine

__all__ = [
    "ADVANCE",
    "CLOSED_FORM",
    "CUBE",
    "ENERGY",
    "FIELD",
    "FLAGS",
    "MATRIX",
    "POSITIONS",
    "SAMPLER",
    "VECTOR",
    "Kernel",
    "kernel",
    "subroutine",
]

VECTOR = types.float64[::1]
MATRIX = types.float64[:, ::1]
CUBE = types.float64[:, :, ::1]
FLAGS = types.boolean[::1]

ENERGY = types.float64(VECTOR, VECTOR, VECTOR)
"""H(q, p, params): (d,), (d,), (n_params,) to the energy."""

FIELD = types.void(VECTOR, VECTOR, VECTOR, VECTOR)
"""f(q, p, params, out): a gradient of H, (d,), written to `out`."""

POSITIONS = types.void(VECTOR, VECTOR, VECTOR)
"""f(q, params, xy): where the bodies are, (2 bodies,): x1, y1, x2, y2, …; +y is up."""

SAMPLER = types.void(VECTOR, VECTOR, VECTOR, VECTOR, VECTOR)
"""f(initial, u, params, q, p): the initial state, written to `q` and `p`, (d,).

`initial` holds the values drawn for the sampler's own settings (such as the radius), `u`
independent uniform numbers in [0, 1)."""

CLOSED_FORM = types.boolean(VECTOR, VECTOR, VECTOR, VECTOR, MATRIX, MATRIX)
"""f(q0, p0, params, times, q, p): the exact solution at `times` after the start, (frames,),
written to `q` and `p`, (frames, d); False where there is none (a collision)."""

ADVANCE = types.boolean(
    types.FunctionType(FIELD),
    types.FunctionType(FIELD),
    VECTOR,
    types.float64,
    VECTOR,
    VECTOR,
    types.float64,
    types.int64,
    VECTOR,
)
"""f(dh_dq, dh_dp, params, friction, q, p, dt, substeps, work): one frame interval, in place.

`dt` may be negative. `substeps` is the number of equal steps; an adaptive method takes at least as
many, and where `substeps` is negative exactly as many, without control, so that its order can be
measured. `work` is scratch of the integrator's `work_size(d)`, zeroed before the first interval of
a trajectory and kept between intervals, so that an adaptive method can remember its step. False
where no step succeeds (a collision, a state that is not finite)."""
