"""The random streams: NumPy's own Philox is the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from physim import seeds
from physim.systems.parameters import LAWS, Distribution


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


@pytest.mark.parametrize("law", LAWS)
def test_distributions_stay_in_range_and_follow_their_law(law):
    low, high = (1.5, 1.5) if law == "fixed" else (0.5, 2.0)
    row = Distribution(law, low, high)
    values = np.array([row.at(u) for u in np.linspace(0, 1, 5001)])
    assert values.min() == pytest.approx(low)
    assert values.max() == pytest.approx(high)
    if law == "area":  # the square of the radius is uniform
        assert np.mean(values**2) == pytest.approx((low**2 + high**2) / 2, rel=1e-3)
    if law == "log_uniform":
        assert np.mean(np.log(values)) == pytest.approx(np.log(low * high) / 2, abs=1e-3)
