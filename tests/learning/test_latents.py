"""What latent states and samples are worth, of a model whose states are the true ones."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hgn_train import data
from hgn_train.evaluation import latents
from hgn_train.evaluation.judged import Judged
from hgn_train.images import Rollout

FRAMES, ANCHOR = 8, 2


class Copier:
    """Takes the first frame it sees for z, and draws it again and again."""

    settings = SimpleNamespace(stochastic=False)

    def infer(self, images):
        z = images[:, 0].float() / 255
        return z, torch.full_like(z, -30.0)

    def rollout(self, z, forward, backward, speed):
        times = forward + 1 + backward
        assert (times, backward, speed) == (FRAMES, ANCHOR, 1)
        frames = z.movedim(-1, 1)[:, None].expand(-1, times, -1, -1, -1)
        state = torch.zeros(len(z), times, 1)
        return Rollout(frames, state, state, state[..., 0])


class Split:
    """Some images."""

    def __init__(self, image):
        self.image = image

    def __len__(self):
        return len(self.image)


@pytest.fixture
def it(tiny_data):
    source = data.open_source(tiny_data)
    return Judged(Copier(), source, torch.device("cpu"), FRAMES, ANCHOR)


def states(it, n, change=lambda q, p: (2 * q, p / 2)):
    """Latent states that follow from the true ones."""
    found = {}
    for name, split in it.source.dataset.splits.items():
        q, p = (split.array(x)[: n[name]][:, :FRAMES] for x in "qp")
        found[name] = np.concatenate(change(q, p), -1)
    return found


@pytest.mark.parametrize(("test", "batches"), [(5, 1), (16, 3), (30, 5)])
def test_states_that_are_stretched_are_read_off_and_symplectic(it, test, batches):
    found = latents.judge_latent(it, states(it, {"train": 30, "test": test}))
    assert found["readout"]["linear"] == pytest.approx(1, abs=1e-4)
    symetric = found["symetric"]
    assert (symetric["batches"], symetric["good"]) == (batches, 1.0)
    assert symetric["r2"] == pytest.approx(1, abs=1e-3)
    assert symetric["distance"] < 1e-3
    assert "why" not in symetric


def test_states_without_their_momenta_are_neither(it):
    n = {"train": 60, "test": 9}
    found = latents.judge_latent(it, states(it, n, lambda q, p: (q, q)))
    assert 0 < found["readout"]["linear"] < 0.7  # q is there, p is not
    assert found["symetric"]["good"] == 0.0


@pytest.mark.parametrize(
    ("test", "change", "why"),
    [
        (4, lambda q, p: (q, p), "trajectories"),
        (6, lambda q, p: (np.repeat(q, 128, -1), p), "large"),
        (6, lambda q, p: (q, p * np.inf), "finite"),
    ],
)
def test_where_there_is_no_symetric_the_reason_is_said(it, test, change, why):
    with np.errstate(invalid="ignore"):
        found = latents.judge_latent(it, states(it, {"train": 6, "test": test}, change))
    symetric = found["symetric"]
    assert why in symetric["why"]
    assert (symetric["batches"], symetric["r2"], symetric["distance"]) == (0, None, None)


def nearest(frames, real):
    """Mean squared error to the nearest, frame by frame."""
    rows = real.reshape(len(real), -1)
    return np.mean([((rows - frame.reshape(-1)) ** 2).mean(1).min() for frame in frames])


def test_samples_are_as_far_as_the_nearest_of_the_first_frames(tmp_path, monkeypatch):
    """Of 400 trajectories; one beyond them and frames beyond the rollouts, which fit, are not."""
    rng = np.random.default_rng(0)
    shape = (FRAMES + 2, 2, 2, 3)
    train, test = (rng.integers(256, size=(n, *shape), dtype=np.uint8) for n in (401, 9))
    train[400] = test[0]
    train[:, FRAMES:] = test[0, :2]
    source = SimpleNamespace(dataset=SimpleNamespace(train=Split(train), test=Split(test)))
    it = Judged(Copier(), source, torch.device("cpu"), FRAMES, ANCHOR)
    half = torch.full((3, *shape[1:]), 0.5)
    half[:, :1] = 0.25
    asked = []

    def drawn(model, run, kind, n, generator):
        asked.append((run, kind, n))
        return half

    monkeypatch.setattr(latents, "sample_latents", drawn)
    results, arrays = latents.judge_samples(it, tmp_path, 6)
    assert asked == [(tmp_path, "mixture", 6)]
    real = train[:400, :FRAMES].reshape(-1, *shape[1:]) / 255
    test = test[:6, :FRAMES] / 255
    expected = {
        "test_frames": nearest(test.reshape(-1, *shape[1:]), real),
        "reconstructions": nearest(test[:, 0], real),
        "average_image": nearest(real.mean(0)[None], real),
        "mixture": nearest(half[:1].numpy(), real),
    }
    assert results == pytest.approx(expected, rel=1e-4)
    assert arrays["samples_mixture"].shape == (3, FRAMES, *shape[1:])
    assert set(arrays["samples_mixture"].flatten().tolist()) == {64, 128}
