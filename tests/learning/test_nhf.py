"""Neural Hamiltonian Flow is a density: volumes, inverse, bounds, integral, samples."""

import math

import pytest
import torch

from hgn_train import bases
from hgn_train.models.nhf import NHF, NHFSettings, bound
from physim.errors import PhysimError

VARIANTS = {
    "plain": {},
    "stages": {"stages": 3, "substeps": 1},
    "yoshida4": {"integrator": "yoshida4"},
    "tanh": {"activation": "tanh"},
    "harmonic": {"harmonic": True},
    "soft-uniform": {"base": "soft-uniform"},
    "line": {"dimension": 1},
    "odd": {"dimension": 3, "substeps": 3},
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tiny(strength=1.0, dtype=torch.float64, **changes):
    """A flow of random weights, its encoder included, away from the identity."""
    model = NHF(NHFSettings(**({"hamiltonian": (16, 16), "encoder": (16,)} | changes)))
    random = generator(2)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(strength * torch.randn(weight.shape, generator=random))
            if weight.ndim > 1:
                weight /= math.sqrt(weight.shape[1])
    return model.to(dtype)


def states(model, n=64, seed=5):
    shape = (n, model.settings.dimension)
    return [torch.randn(shape, generator=generator(seed + i)).to(model.centre) for i in range(2)]


@pytest.mark.parametrize("name", VARIANTS)
def test_volumes_are_kept(name):
    """The Jacobian by autograd has the determinant 1."""
    model = tiny(**VARIANTS[name])
    d = model.settings.dimension

    def whole(state):
        return torch.cat(model.flow(state[None, :d], state[None, d:]), 1)[0]

    for q, p in zip(*states(model, 8), strict=True):
        jacobian = torch.autograd.functional.jacobian(whole, torch.cat([q, p]))
        assert float((jacobian - torch.eye(2 * d)).abs().max()) > 0.02  # it does something
        assert float(torch.linalg.det(jacobian)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("name", VARIANTS)
def test_inverse_undoes_the_flow(name, dtype, tolerance):
    """Relative to the largest number on the way."""
    model = tiny(dtype=dtype, **VARIANTS[name])
    q, p = states(model)
    for there, back in ((model.flow, model.inverse), (model.inverse, model.flow)):
        with torch.no_grad():
            reached = there(q, p)
            returned = back(*reached)
        largest = max(float(x.abs().max()) for x in (q, p, *reached))
        for before, after in zip((q, p), returned, strict=True):
            assert float((before - after).abs().max()) < tolerance * largest


@pytest.mark.parametrize("name", VARIANTS)
def test_gradient_reaches_every_parameter(name):
    model = tiny(dtype=torch.float32, samples=3, **VARIANTS[name])
    points, _ = states(model)
    model({"points": points}, model.draws(len(points), generator()))["loss"].backward()
    for key, weight in model.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None, key
            assert weight.grad.abs().max() > 0, key


def test_loss_is_minus_the_bound_of_as_many_samples(line):
    points = torch.linspace(-3, 6, 19, dtype=torch.float64)[:, None]
    noise = torch.randn(5, 19, 1, generator=generator(), dtype=torch.float64)
    with torch.no_grad():
        found = line({"points": points}, {"noise": noise.transpose(0, 1)})
        each = torch.stack([line.log_weights(points, one[None])[0] for one in noise])
    bound_of_five = each.exp().mean(0).log().mean()
    torch.testing.assert_close(found["loss"], -bound_of_five)
    torch.testing.assert_close(found["elbo"], each.mean())
    assert found["elbo"] < bound_of_five - 0.01


def test_rows_are_scored_with_16_momenta_that_are_the_same_each_time(line):
    points = torch.linspace(-3, 6, 19, dtype=torch.float64)[:, None].repeat(100, 1)
    first, second = (line.score({"points": points}).errors for _ in range(2))
    assert torch.equal(first, second)
    with torch.no_grad():
        others = -line.log_prob(points, 16, generator(1))
    spreads = [errors.reshape(100, 19).double().var(0).mean() for errors in (first, others)]
    assert 0.75 < float(spreads[0] / spreads[1]) < 1.33  # it falls as the number of momenta


def test_compiled_whole_equals_eager():
    """One graph, no break."""
    model = tiny(dtype=torch.float32, substeps=1)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    points, _ = states(model)
    drawn = model.draws(len(points), generator())
    expected, found = model({"points": points}, drawn), compiled({"points": points}, drawn)
    torch.testing.assert_close(found["loss"], expected["loss"], rtol=1e-5, atol=1e-6)


def test_samples_carry_gradients():
    model = tiny()
    model.rsample((16,), generator()).square().mean().backward()
    assert all(w.grad.abs().max() > 0 for w in model.stages.parameters() if w.requires_grad)
    assert not model.sample((16,), generator()).requires_grad


def still(dimension=2):
    """A flow that moves nothing, so that q is the base and f(p | q) = N(0, 1) is exact."""
    model = NHF(NHFSettings(dimension=dimension, hamiltonian=(4,), encoder=(4,))).double()
    with torch.no_grad():
        for weight in model.stages.parameters():
            weight.zero_()
    return model


@pytest.mark.parametrize("samples", [1, 7])
def test_bound_is_exact_where_the_encoder_is(samples):
    model = still()
    points = states(model)[0]
    expected = bases.Gaussian().log_prob(points)
    torch.testing.assert_close(model.log_prob(points, samples), expected, rtol=0, atol=1e-12)


def test_evidence_bound_is_below_by_the_divergence_of_the_encoder():
    """KL(N(m, s²) | N(0, 1)) in closed form."""
    model = still()
    bias = model.encoder.network[-1].bias
    with torch.no_grad():
        bias.copy_(torch.tensor([0.5, -0.3, 0.2, -0.4]))
    m, s = bias[:2].detach(), bias[2:].detach().exp()
    divergence = float(((m**2 + s**2 - 1) / 2 - s.log()).sum())
    point = torch.zeros(1, 2, dtype=torch.float64)
    noise = torch.randn(100_000, 1, 2, generator=generator(), dtype=torch.float64)
    weights = model.log_weights(point, noise).detach()[:, 0]
    gap = bases.Gaussian().log_prob(point)[0] - weights
    error = float(gap.std()) / math.sqrt(len(gap))
    assert abs(float(gap.mean()) - divergence) < 4 * error
    assert divergence > 20 * error  # the test would see it


def true_log_prob(model, points):
    """The integral over p of the joint density of a flow of the line, by a sum over a grid."""
    p = torch.linspace(-12, 12, 601, dtype=torch.float64)[:, None]
    found = []
    with torch.no_grad():
        for q in model.standardised(points):
            start_q, start_p = model.inverse(q.expand_as(p), p)
            joint = model.base.log_prob(start_q) + model.base.log_prob(start_p)
            found.append(torch.logsumexp(joint, 0) + math.log(0.04))
    return torch.stack(found) - model.deviation.log().sum()


@pytest.fixture(scope="module")
def line():
    """A bent density of the line, whose true values a sum over p gives."""
    model = tiny(0.8, dimension=1, stages=2, activation="tanh")
    with torch.no_grad():  # momenta wider than those that fit, so that weights are bounded
        for weight in model.encoder.parameters():
            weight *= 0.3
        model.encoder.network[-1].bias[1] = 0.5
    model.prepare({"points": torch.tensor([[-1.0], [2.5], [4.0]], dtype=torch.float64)})
    return model


def test_density_integrates_to_one_and_samples_follow_it(line):
    x = torch.linspace(-20, 24, 441, dtype=torch.float64)[:, None]
    density = true_log_prob(line, x).exp()
    assert float(density.sum()) * 0.1 == pytest.approx(1, abs=1e-4)
    points = line.sample((5000,), generator())[:, 0].sort().values
    below = (density.cumsum(0) - density / 2) * 0.1
    ranks = torch.searchsorted(points, x[:, 0]) / len(points)
    # the Kolmogorov-Smirnov distance of 5,000 points exceeds 0.03 once in 4,000 draws
    assert float((ranks - below).abs().max()) < 0.03


def test_bounds_stay_below_and_tighten_with_k(line):
    points = torch.linspace(-3, 6, 19, dtype=torch.float64)[:, None]
    true = true_log_prob(line, points)
    noise = torch.randn(4096, len(points), 1, generator=generator(), dtype=torch.float64)
    with torch.no_grad():
        weights = line.log_weights(points, noise)
    gaps = {}
    for k in (1, 8, 64, 512):
        values = torch.stack([bound(part) for part in weights.split(k)])
        error = float(values.mean(1).std()) / math.sqrt(len(values))
        gaps[k] = float((true - values.mean(0)).mean())
        assert gaps[k] > -4 * error
    assert gaps[1] > 1.5 * gaps[8] > 1.5 * gaps[64]
    assert gaps[512] < 0.02 < gaps[1], gaps


def test_scale_of_the_data_is_part_of_the_density():
    model = still()
    model.prepare({"points": torch.tensor([[0.0, 1.0], [2.0, 7.0]], dtype=torch.float64)})
    points = states(model)[0]
    scale = torch.diag(model.deviation**2)
    expected = torch.distributions.MultivariateNormal(model.centre, scale).log_prob(points)
    torch.testing.assert_close(model.log_prob(points, 1), expected, rtol=0, atol=1e-10)


def test_shapes_are_those_of_torch_distributions():
    model = tiny()
    assert model.event_shape == (2,)
    drawn = model.sample((4, 5), generator())
    assert drawn.shape == (4, 5, 2)
    assert model.log_prob(drawn, 3).shape == (4, 5)
    assert model.sample().shape == (2,)
    assert model.log_prob(model.sample()).shape == ()
    assert torch.equal(drawn, model.sample((4, 5), generator()))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"substeps": 0}, "substeps: got 0, expected a whole number from 1"),
        ({"dt": -1.0}, "dt: got -1.0, expected a number above 0"),
        ({"hamiltonian": (0,)}, "hamiltonian: got .0., expected widths"),
        ({"activation": "relu"}, "activation: got 'relu'; known: softplus"),
        ({"base": "cauchy"}, "base: got 'cauchy'; known: gaussian"),
        ({"integrator": "rk4"}, "do not undo steps forward exactly; expected one of leapfrog"),
        ({"integrator": "leapfrg"}, "integrator: got 'leapfrg' .did you mean 'leapfrog'"),
    ],
)
def test_what_makes_no_flow_is_refused(changes, sentence):
    with pytest.raises(PhysimError, match=sentence):
        NHFSettings(**changes)


@pytest.mark.parametrize(
    ("shape", "samples", "sentence"),
    [
        ((3, 2), 0, "samples: got 0, expected a whole number from 1"),
        ((3, 2), -1, "samples: got -1, expected"),
        ((3, 3), 4, r"value: got points of shape \(3, 3\), expected \(…, 2\)"),
        ((4, 3), 4, r"value: got points of shape \(4, 3\), expected \(…, 2\)"),
        ((), 4, r"value: got points of shape \(\), expected \(…, 2\)"),
    ],
)
def test_what_has_no_density_is_refused(shape, samples, sentence):
    with pytest.raises(PhysimError, match=sentence):
        tiny().log_prob(torch.zeros(shape, dtype=torch.float64), samples)
