"""The random streams: NumPy's own Philox is the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from physim import seeds, systems
from physim.recipe import Recipe
from physim.systems.parameters import LAWS
from physim.trajectories import Generator


def _by_numpy(seed, split, stream, index, attempt, k):
    """NumPy increments its counter before the first block, so start one before."""
    counter = (index << 64) + (attempt << 128) + (stream << 192) - 1
    words = [(counter >> (64 * word)) & (2**64 - 1) for word in range(4)]
    philox = np.random.Philox(
        counter=np.array(words, dtype=np.uint64), key=np.array([seed, split], dtype=np.uint64)
    )
    return (philox.random_raw(k) >> np.uint64(11)) * 2.0**-53


@pytest.mark.parametrize("k", [1, 4, 11])
@pytest.mark.parametrize(
    ("seed", "split", "stream", "index", "attempt"),
    [(0, 0, 1, 0, 0), (2**63 - 1, 1, 4, 10**9, 7), (42, 0, 0, 41_237, 3)],
)
def test_uniforms_are_numpys(seed, split, stream, index, attempt, k):
    out = np.empty((1, k))
    seeds.uniforms(
        np.uint64(seed),
        np.uint64(split),
        stream,
        np.array([index]),
        np.array([attempt], dtype=np.int32),
        out,
    )
    assert np.array_equal(out[0], _by_numpy(seed, split, stream, index, attempt, k))


@pytest.mark.parametrize("k", [1, 4, 7])
def test_normals_are_those_of_box_and_muller(k):
    """From pairs of uniform numbers: a radius, and an angle whose cosine comes first."""
    out = np.empty((1, k))
    where = (np.uint64(3), np.uint64(1), 2, np.array([17]), np.array([4], dtype=np.int32))
    seeds.normals(*where, out)
    u, v = _by_numpy(3, 1, 2, 17, 4, k + k % 2).reshape(-1, 2).T
    points = np.sqrt(-2 * np.log1p(-u)) * np.exp(2j * np.pi * v)
    # a few roundings of the logarithm, the root and the angle
    assert np.allclose(out[0], points.view(float)[:k], rtol=0, atol=1e-14)


def test_normals_are_normal_and_their_own():
    out = np.empty((2000, 51))
    seeds.normals(
        np.uint64(3), np.uint64(0), 1, np.arange(2000), np.zeros(2000, dtype=np.int32), out
    )
    assert (
        stats.kstest(out.ravel(), "norm").pvalue > 1e-3
    )  # one draw in a thousand fails by chance
    correlation = np.corrcoef(out.T) - np.eye(51)
    assert abs(correlation).max() < 5 / np.sqrt(2000)  # five standard errors


CUMULATIVE = {
    "uniform": lambda x, low, high: (x - low) / (high - low),
    "log_uniform": lambda x, low, high: np.log(x / low) / np.log(high / low),
    "area": lambda x, low, high: (x**2 - low**2) / (high**2 - low**2),
}


def test_what_is_drawn_follows_its_law():
    """By the share of the distribution that lies below each value, which is uniform."""
    system = systems.find("pendulum")
    sampler = system.samplers[0]
    laws = [*CUMULATIVE, "fixed"]
    assert sorted(laws) == sorted(LAWS)
    assert system.n_params + len(sampler.settings) == len(laws)
    low, high, n = 0.5, 2.0, 500
    index = np.arange(n)
    params, q, p = np.empty((n, 3)), np.empty((n, 1)), np.empty((n, 1))
    seeds.initial_states(
        sampler.kernel.compiled,
        np.array([LAWS.index(law) for law in laws]),
        np.full(4, low),
        np.full(4, high),
        sampler.draws,
        np.uint64(5),
        np.uint64(1),
        index,
        np.zeros(n, dtype=np.int32),
        params,
        q,
        p,
    )
    u = np.array([_by_numpy(5, 1, seeds.STATE, int(i), 0, 5) for i in index])
    for column, (law, cumulative) in enumerate(CUMULATIVE.items()):
        # a few roundings of a quotient near 1, in logarithms and squares
        found = cumulative(params[:, column], low, high)
        assert np.allclose(found, u[:, column], rtol=0, atol=1e-14), law
    assert np.allclose(np.hypot(q, p), low, rtol=1e-15, atol=0)  # the radius, which is fixed
    turns = np.arctan2(p, q)[:, 0] / (2 * np.pi) % 1  # the angle, from a number of its own
    assert np.allclose(turns, u[:, 4], rtol=0, atol=1e-14)


def test_colours_and_offsets_have_numbers_of_their_own():
    streams = {seeds.STATE, seeds.NOISE_Q, seeds.NOISE_P, seeds.COLORS, seeds.OFFSET}
    assert len(streams) == 5
    settings = {"system": "two_body", "colors": 4, "canvas_offset": True, "seed": 3}
    made, _ = Generator(Recipe.of(settings)).undrawn("test", 100, 120)
    for i, attempt in enumerate(made["attempt"]):
        where = (100 + i, int(attempt))
        order = np.argsort(_by_numpy(3, 1, seeds.COLORS, *where, 4))
        assert np.array_equal(made["color"][i], order[:2])
        centred = 2 * _by_numpy(3, 1, seeds.OFFSET, *where, 2) - 1
        largest = made["offset"][i] / centred
        assert largest == pytest.approx(largest[::-1], rel=1e-14)  # a few roundings
