"""The fitted prior: samples come from where the posteriors are."""

import numpy as np
import torch

from hgn_train.prior import fit_mixture


def ring(n, rng):
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], 1) + 0.02 * rng.normal(size=(n, 2))


def test_samples_lie_on_a_ring():
    mixture = fit_mixture(ring(3000, np.random.default_rng(0)), components=24)
    z = mixture.sample(2000, torch.Generator().manual_seed(1)).numpy()
    radius = np.hypot(*z.T)
    assert 0.95 < radius.mean() < 1.05
    assert radius.std() < 0.06  # N(0, 1) has 0.65
    angle = np.arctan2(z[:, 1], z[:, 0])
    counts, _ = np.histogram(angle, 8, (-np.pi, np.pi))
    assert counts.min() > 0.6 * 2000 / 8  # all around


def test_the_same_seed_gives_the_same_samples():
    mixture = fit_mixture(ring(500, np.random.default_rng(0)), components=4)
    a, b = (mixture.sample(5, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(a, b)
    assert mixture.weights.sum().item() == 1.0 or abs(mixture.weights.sum().item() - 1) < 1e-6


def test_few_samples_are_enough():
    mixture = fit_mixture(np.random.default_rng(0).normal(size=(20, 3)), components=64)
    assert mixture.means.shape == (2, 3)


def test_the_mixture_of_one_sample_stays_there():
    found = fit_mixture(np.array([[3.0, -1.0]]))
    drawn = found.sample(100, torch.Generator().manual_seed(0))
    assert torch.allclose(drawn, torch.tensor([3.0, -1.0]), atol=0.1)  # ten deviations
