"""Measures, on cases whose value is known."""

import warnings

import numpy as np
import pytest

import physim
from hgn_train import metrics
from hgn_train.data import open_source
from hgn_train.truth import observed


def test_valid_prediction_time_counts_to_the_first_bad_frame():
    truth = np.ones((3, 5, 2))
    drawn = truth.copy()
    drawn[0, 3:] = 0
    drawn[1, 0] = 0
    assert metrics.valid_prediction_time(drawn, truth).tolist() == [3, 0, 5]


def test_valid_prediction_time_is_relative_to_the_frame():
    truth = np.full((1, 2, 2), 10.0)
    drawn = truth + 1.5  # 2.25 of 100: below 0.025
    assert metrics.valid_prediction_time(drawn, truth).tolist() == [2]
    assert metrics.valid_prediction_time(truth + 1.6, truth).tolist() == [0]
    assert metrics.valid_prediction_time(truth + 5, truth, below=0.25).tolist() == [2]  # at most


def test_a_frame_that_is_not_finite_is_not_valid():
    truth = np.ones((2, 4, 3))
    truth[1] = 0  # a black frame, drawn black, is
    drawn = truth.copy()
    drawn[0, 2:] = np.nan
    assert metrics.valid_prediction_time(drawn, truth).tolist() == [2, 4]


def test_share_explained_between_its_references():
    assert metrics.share_explained(0.5, average=10.0, oracle=0.5) == 1.0
    assert metrics.share_explained(10.0, average=10.0, oracle=0.5) == 0.0
    assert np.isnan(metrics.share_explained(0.1, average=0.0))  # frames that never change


def test_energy_statistics_of_constant_rollouts():
    energy = np.repeat(np.array([[1.0], [3.0]]), 4, axis=1)
    assert metrics.energy_statistics(energy) == {"mean": 2, "variance": 0, "relative_spread": 0}


def test_readout_of_fewer_rows_than_numbers_in_a_state():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(20, 40))
    found = metrics.readout(latent, latent[:, :2], latent, latent[:, :2])
    assert found.linear == pytest.approx(1, abs=1e-3)
    assert found.quadratic > 0.9


def test_readout_of_collinear_coordinates_in_float32_is_that_of_one_of_them():
    """As in maps, whose neighbouring pixels say the same."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(300, 2)).astype(np.float32)
    maps = np.repeat(latent, 40, axis=1) * (1 + 1e-6 * rng.normal(size=80)).astype(np.float32)
    maps += 1e-5 * rng.normal(size=maps.shape).astype(np.float32)
    state = latent @ rng.normal(size=(2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics.readout(maps[:200], state[:200], maps[200:], state[200:])
    assert found.linear > 0.999


def test_readout_of_states_that_are_not_finite_is_none():
    latent = np.ones((20, 4))
    broken = np.where(np.arange(4) == 1, np.inf, latent)
    for one, other in ((latent, broken), (broken, latent)):
        found = metrics.readout(one, latent[:, :2], other, latent[:, :2])
        assert np.isnan([found.linear, found.quadratic]).all()


def test_readout_of_a_latent_state_that_never_varies_explains_nothing():
    """Without a warning: a run that has collapsed is evaluated like any other."""
    state = np.random.default_rng(0).normal(size=(300, 2))
    latent = np.full((300, 4), 0.1, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics.readout(latent[:200], state[:200], latent[200:], state[200:])
    assert -0.1 < found.linear <= 0
    assert found.quadratic == found.linear


def test_energy_statistics_of_rollouts_that_vary():
    """Deviations 1 and 2 along the rollouts, whose means 2 and 7 deviate by 2.5."""
    found = metrics.energy_statistics(np.array([[1.0, 3.0], [5.0, 9.0]]))
    assert found == {"mean": 4.5, "variance": 2.5, "relative_spread": pytest.approx(1.5 / 2.5)}
    assert np.isnan(metrics.energy_statistics(np.array([[1.0, 3.0]]))["relative_spread"])


def circle(rng, n=5, frames=40):
    t = np.linspace(0, 2, frames) + rng.uniform(0, 6, (n, 1))
    r = rng.uniform(0.3, 1, (n, 1))
    return np.stack([r * np.cos(t), -r * np.sin(t)], -1)


def test_symetric_accepts_a_symplectic_map():
    """A linear canonical map, and one time-reversed and scaled."""
    rng = np.random.default_rng(0)
    state = circle(rng)
    matrix = np.array([[2.0, 1.0], [3.0, 2.0]])  # determinant 1
    found = metrics.symetric(state @ matrix.T, state)
    assert found.good
    assert found.order == 1


def test_symetric_refuses_what_is_not():
    """Two latent planes that each hold only part: q in one, p as a q of the other."""
    rng = np.random.default_rng(0)
    state = circle(rng)
    other = circle(rng)
    latent = np.stack([state[..., 0], state[..., 1], other[..., 0], other[..., 1]], -1)
    found = metrics.symetric(latent, state)  # q and p both among the latent positions
    assert found.r2 > 0.9
    assert not found.good


def test_symetric_needs_a_map_at_all():
    rng = np.random.default_rng(0)
    found = metrics.symetric(rng.normal(size=(5, 40, 2)), circle(rng), max_features=6)
    assert not found.good
    assert found.order <= 2  # order 3 has 10 terms


def test_the_distance_of_a_linear_map_is_that_by_hand():
    """Mixed positions with momenta left alone: A J Aᵀ = (0 −M; Mᵀ 0), M = (1 0; s s), s² = 1/2.

    So P = diag(M Mᵀ, Mᵀ M), with 3/2 as its largest entry, and all of its differences from
    3/2 times the identity, over 3/2, squared, have a sum of 4/3.
    """
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(200, 4))
    latent = np.linalg.qr(latent - latent.mean(0))[0].reshape(5, 40, 4)  # uncorrelated
    state = latent.copy()
    state[..., 1] += latent[..., 0]
    found = metrics.symetric(latent, state)
    assert found.order == 1
    assert found.distance == pytest.approx(4 / 3 / 16, rel=1e-2)
    assert not found.good
    assert metrics.symetric(latent, latent).distance < 1e-3


def test_the_distance_of_a_curved_map_is_that_by_hand():
    """With one position, P = det(A)² times the identity; here det A ∝ 1 + 2 q."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(4, 50, 2))
    latent = (latent - latent.mean((0, 1))) / latent.std((0, 1))
    q, p = latent[..., 0], latent[..., 1]
    found = metrics.symetric(latent, np.stack([q + q**2, p], -1), points=50)
    assert found.order == 2
    square = (1 + 2 * q) ** 2
    expected = ((square / square.mean(1, keepdims=True) - 1) ** 2).mean() / 2
    assert found.distance == pytest.approx(expected, rel=1e-2)


def test_readout_of_linear_and_quadratic_maps():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(600, 4))
    linear = latent @ rng.normal(size=(4, 2))
    assert metrics.readout(latent[:400], linear[:400], latent[400:], linear[400:]).linear > 0.999
    square = latent[:, :2] ** 2
    found = metrics.readout(latent[:400], square[:400], latent[400:], square[400:])
    assert found.linear < 0.2
    assert found.quadratic > 0.95


def test_nearest_distance_is_zero_for_what_is_there():
    rng = np.random.default_rng(0)
    real = rng.random((50, 12))
    assert metrics.nearest_distances(real[:5], real).max() < 1e-12
    slow = [np.min(np.mean((real[1:] - real[0]) ** 2, axis=1))]
    assert metrics.nearest_distances(real[:1], real[1:]) == pytest.approx(slow)
    images = rng.random((600, 12))  # of more than two blocks
    slow = ((images[:, None] - real) ** 2).mean(2).min(1)
    assert metrics.nearest_distances(images, real) == pytest.approx(slow)


def test_what_frames_cannot_show_is_not_asked_of_a_latent_state(tmp_path):
    """Turns of a pendulum, and boxes that an atom has passed."""
    for system, period in (("pendulum", 2 * np.pi), ("lennard_jones", 7.0)):
        given = (
            {"parameters": {"L": {"uniform": [period, period]}}}
            if system == "lennard_jones"
            else {}
        )
        physim.render(
            system=system, n=2, n_test=1, frames=4, resolution=8, out=tmp_path / system, **given
        )
        source = open_source(tmp_path / system)
        q, p = source.dataset.train.q[:], source.dataset.train.p[:]
        here, there = (observed(source, x, p) for x in (q, q + 3 * period))
        assert here.shape[-1] == 3 * q.shape[-1]
        np.testing.assert_allclose(here, there, atol=1e-12)
        assert abs(here - observed(source, q + period / 2, p)).max() > 0.5
