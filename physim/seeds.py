"""One random stream per trajectory, from the seed, the split and its number alone.

A counter-based generator needs no state: the numbers of trajectory 41,237 are computed without
those of any other, so neither the number of workers, nor the size of a shard, nor an interruption
changes them. The generator is Philox4x64-10, the one behind `numpy.random.Philox`, with

    key     = (seed, split)              split: 0 train, 1 test
    counter = (block, index, attempt, stream)

where `block` counts groups of four 64-bit numbers, `index` is the trajectory's number in its
split, `attempt` how often it has been drawn again, and `stream` what the numbers are for.

Reference: Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types

from physim.fields import MATRIX, SAMPLER, VECTOR, kernel

STATE, NOISE_Q, NOISE_P, COLORS, OFFSET = range(5)
"""What a stream is for."""

INDICES = types.int64[::1]
ATTEMPTS = types.int32[::1]

_M0 = np.uint64(0xD2E7470EE14C6C93)
_M1 = np.uint64(0xCA5A826395121157)
_W0 = np.uint64(0x9E3779B97F4A7C15)
_W1 = np.uint64(0xBB67AE8584CAA73B)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_11 = np.uint64(11)


@njit(inline="always")
def _high(a, b):
    """Upper 64 bits of a 64 × 64 bit product."""
    a0, a1 = a & _LOW, a >> _32
    b0, b1 = b & _LOW, b >> _32
    middle = a1 * b0 + ((a0 * b0) >> _32)
    return a1 * b1 + (middle >> _32) + ((a0 * b1 + (middle & _LOW)) >> _32)


@njit
def _philox(c0, c1, c2, c3, k0, k1):
    for _ in range(10):
        h0, l0 = _high(_M0, c0), _M0 * c0
        h1, l1 = _high(_M1, c2), _M1 * c2
        c0, c1, c2, c3 = h1 ^ c1 ^ k0, l1, h0 ^ c3 ^ k1, l0
        k0 = k0 + _W0
        k1 = k1 + _W1
    return c0, c1, c2, c3


@njit
def _fill(seed, split, stream, index, attempt, out):
    """Uniform numbers in [0, 1) with 53 bits, as many as `out` holds."""
    for block in range((out.size + 3) // 4):
        words = _philox(
            np.uint64(block), np.uint64(index), np.uint64(attempt), np.uint64(stream), seed, split
        )
        for lane in range(min(4, out.size - 4 * block)):
            out[4 * block + lane] = (words[lane] >> _11) * 2.0**-53


@kernel(types.void(types.uint64, types.uint64, types.int64, INDICES, ATTEMPTS, MATRIX))
def uniforms(seed, split, stream, index, attempt, out):
    """Uniform numbers in [0, 1) for each trajectory, (n, k), written to `out`."""
    for i in range(index.size):
        _fill(seed, split, stream, index[i], attempt[i], out[i])


@kernel(types.void(types.uint64, types.uint64, types.int64, INDICES, ATTEMPTS, MATRIX))
def normals(seed, split, stream, index, attempt, out):
    """Standard normal numbers for each trajectory, (n, k), by Box and Muller's method."""
    k = out.shape[1]
    u = np.empty(k + k % 2)
    for i in range(index.size):
        _fill(seed, split, stream, index[i], attempt[i], u)
        for j in range(0, k, 2):
            radius = math.sqrt(-2.0 * math.log(1.0 - u[j]))
            out[i, j] = radius * math.cos(2.0 * math.pi * u[j + 1])
            if j + 1 < k:
                out[i, j + 1] = radius * math.sin(2.0 * math.pi * u[j + 1])


@njit
def _quantile(law, low, high, u):
    """The value below which a share `u` of a `physim.systems.parameters.Distribution` lies."""
    if law == 1:
        return low + u * (high - low)
    if law == 2:
        return low * (high / low) ** u
    if law == 3:
        return math.sqrt(low * low + u * (high * high - low * low))
    return low


@kernel(
    types.void(
        types.FunctionType(SAMPLER),
        types.int64[::1],
        VECTOR,
        VECTOR,
        types.int64,
        types.uint64,
        types.uint64,
        INDICES,
        ATTEMPTS,
        MATRIX,
        MATRIX,
        MATRIX,
    )
)
def initial_states(sampler, laws, lows, highs, draws, seed, split, index, attempt, params, q0, p0):
    """Parameters and initial states, (n, n_params), (n, d), (n, d), written to the last three.

    `laws`, `lows` and `highs` describe first each column of `params`, then each setting of the
    sampler.
    """
    values = np.empty(laws.size)
    u = np.empty(laws.size + draws)
    n_params = params.shape[1]
    for i in range(index.size):
        _fill(seed, split, STATE, index[i], attempt[i], u)
        for j in range(laws.size):
            values[j] = _quantile(laws[j], lows[j], highs[j], u[j])
        params[i] = values[:n_params]
        sampler(values[n_params:], u[laws.size :], params[i], q0[i], p0[i])
