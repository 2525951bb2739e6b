"""The loss of HGN is its formula, put together here from rollouts one at a time."""

import pytest
import torch

from hgn_train.images import pixels
from hgn_train.models.hgn import HGN, HGNSettings
from hgn_train.presets import PRESETS

TINY = PRESETS["hgn"]["test"][0]


def tiny(**changes):
    torch.manual_seed(0)
    return HGN(HGNSettings(**(TINY | changes)))


def given(model, n=4):
    s, generator = model.settings, torch.Generator().manual_seed(3)
    shape = (n, s.frames, s.resolution, s.resolution, s.channels)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    return images, model.draws(n, torch.Generator().manual_seed(4))


def parts(model, images, drawn):
    """Squared errors, (n, frames, …), KL of each posterior, and rollouts that begin at frame 0."""
    s = model.settings
    mean, log_sigma = model.encode(images[:, : s.inference_frames])
    z = mean + log_sigma.exp() * drawn["noise"] if s.stochastic else mean
    rollout = model.rollout(z, s.frames - 1 - s.inferred, s.inferred)
    normal = torch.distributions.Normal
    divergence = torch.distributions.kl_divergence(normal(mean, log_sigma.exp()), normal(0.0, 1.0))
    return (rollout.images - pixels(images)) ** 2, divergence.flatten(1).sum(1), rollout


@pytest.mark.parametrize(("updates", "rise"), [(0, 0.0), (1, 0.25), (9, 1.0)])
def test_evidence_bound_is_error_and_divergence_a_value(updates, rise):
    model = tiny(objective="elbo", beta=0.3, beta_delay=4)
    model.updates += updates
    images, drawn = given(model)
    squares, divergence, _ = parts(model, images, drawn)
    found = model({"image": images}, drawn)
    values = images[0].numel()
    expected = squares.mean() + 0.3 * rise * divergence.mean() / values
    torch.testing.assert_close(found["loss"], expected)
    torch.testing.assert_close(found["error"], squares.mean().detach())
    torch.testing.assert_close(found["divergence"], divergence.mean().detach())
    assert float(model.updates) == updates + 1
    model.eval()({"image": images}, drawn)
    assert float(model.updates) == updates + 1


def test_geco_weighs_the_error_with_its_multiplier():
    """Of the loss only gradients matter, and λ is no part of the networks' descent."""
    model = tiny(objective="geco", kappa=0.01, multiplier=3.0)
    images, drawn = given(model)
    squares, divergence, _ = parts(model, images, drawn)
    weights = [model.encoder.head.weight, model.decoder.out.weight]
    whole = 3 * squares.mean() + divergence.mean() / images[0].numel()
    expected = torch.autograd.grad(whole, weights)
    found = model({"image": images}, drawn)
    for one, other in zip(torch.autograd.grad(found["loss"], weights), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-8)
    assert float(found["multiplier"]) == pytest.approx(3)


def test_without_noise_there_is_no_divergence():
    model = tiny(objective="elbo", stochastic=False, beta=1e6)
    images, drawn = given(model)
    assert drawn == {}
    squares, _, _ = parts(model, images, drawn)
    torch.testing.assert_close(model({"image": images}, drawn)["loss"], squares.mean())


def test_only_the_frames_that_are_drawn_count():
    model = tiny(objective="elbo", beta=0.0, decoded=4)
    images, drawn = given(model)
    squares, _, _ = parts(model, images, drawn)
    chosen = [squares[i, t].mean() for i, row in enumerate(drawn["shown"]) for t in row.tolist()]
    torch.testing.assert_close(model({"image": images}, drawn)["loss"], torch.stack(chosen).mean())


@pytest.mark.parametrize(("updates", "rise"), [(2, 0.0), (5, 0.5), (20, 1.0)])
@pytest.mark.parametrize("both_ways", [False, True])
def test_consistency_is_the_distance_of_inferred_from_reached_states(both_ways, updates, rise):
    """In units of the variance of the inferred ones; it begins after its delay, counted here."""
    changes = {"objective": "elbo", "beta": 0.0, "stochastic": False, "both_ways": both_ways}
    model = tiny(**changes, consistency=0.7, consistency_delay=4)
    plain = tiny(**changes)
    with torch.no_grad():  # states far enough apart that the millionth in the variance is nothing
        for one in (model, plain):
            one.encoder.head.weight *= 30
    s = model.settings
    images, drawn = given(model)
    model.updates += updates
    inferred, reached = [], []
    for i, start in enumerate(drawn["window"].tolist()):
        backward = both_ways and i >= len(images) // 2
        frames = images[i : i + 1]
        seen = frames[:, -s.inference_frames :] if backward else frames[:, : s.inference_frames]
        window = (frames.flip(1) if backward else frames)[:, start : start + s.inference_frames]
        window = window.flip(1) if backward else window
        inferred.append(torch.cat(model.state(model.encode(window)[0]), 1))
        speed = -1.0 if backward else 1.0
        rollout = model.rollout(
            model.encode(seen)[0], s.frames - 1 - s.inferred, s.inferred, speed
        )
        at = start + s.inferred
        reached.append(torch.cat([rollout.q[:, at], rollout.p[:, at]], 1))
    states = torch.cat(inferred)
    distance = (states - torch.cat(reached)).square().mean() / states.var(0).mean()
    found = model({"image": images}, drawn)
    torch.testing.assert_close(found["inconsistency"], distance.detach(), rtol=1e-4, atol=0)
    expected = plain({"image": images}, {})["loss"] + 0.7 * rise * found["inconsistency"]
    torch.testing.assert_close(found["loss"], expected)


@pytest.mark.parametrize("each", [False, True])
def test_each_coordinate_counts_by_its_own_variance_and_shrinking_states_gains_nothing(each):
    model = tiny(objective="elbo", transform=False, consistency=0.7, consistency_each=each)
    images, drawn = given(model, n=6)
    size = model.settings.state_size * 2
    scale = torch.logspace(0, -0.7, size)  # coordinates of unlike size
    noise = torch.randn(2, 6, size, generator=torch.Generator().manual_seed(5))
    inferred, reached = scale * noise[0], scale * (0.8 * noise[0] + 0.3 * noise[1])
    q, p = (x[:, None].expand(-1, model.settings.frames, -1) for x in reached.chunk(2, 1))
    factor = torch.ones((), requires_grad=True)  # of all states
    model.encode = lambda _: (factor * inferred, None)
    found = model.inconsistency(images, factor * q, factor * p, drawn["window"])
    squares, variances = (reached - inferred) ** 2, (inferred.var(0) + reached.var(0)) / 2
    assert variances.max() > 10 * variances.min()
    expected = squares.mean() / inferred.var(0).mean()
    if each:
        expected = (squares.mean(0) / (variances + 1e-3 * variances.mean())).mean()
    torch.testing.assert_close(found.detach(), expected, rtol=1e-4, atol=0)
    found.backward()
    assert float(factor.grad / found.detach()) == pytest.approx(0 if each else 2, abs=0.03)


def test_what_is_drawn_at_random_reaches_every_frame_and_window():
    model = tiny(decoded=4, consistency=0.1)
    s = model.settings
    drawn = model.draws(2000, torch.Generator().manual_seed(4))
    assert set(drawn["window"].tolist()) == set(range(s.frames - s.inference_frames + 1))
    assert all(len(set(row)) == 4 for row in drawn["shown"].tolist())
    assert drawn["shown"].flatten().bincount(minlength=s.frames).min() > 2000 * 4 / s.frames * 0.85
    assert drawn["noise"].shape == (2000, *model.latent_shape)
