"""Densities of the plane and bases of flows: they integrate to one, and samples follow them."""

import math

import pytest
import torch
from scipy import integrate, stats

from hgn_train import bases, densities
from physim.errors import PhysimError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def cells(density, n, within=20):
    """Probability of each of n × n squares that cover the plane, by sums over a finer grid."""
    extent = density.extent
    step = 2 * extent / (n * within)
    axis = -extent + step * (torch.arange(n * within, dtype=torch.float64) + 0.5)
    mass = density.log_prob(torch.cartesian_prod(axis, axis)).exp() * step**2
    return mass.reshape(n, within, n, within).sum((1, 3))


@pytest.mark.parametrize("name", densities.DENSITIES)
def test_density_integrates_to_one_and_samples_follow_it(name):
    density = densities.find(name)
    n = 8
    expected = cells(density, n)
    assert abs(float(expected.sum()) - 1) < 1e-6  # the grid is finer than half a deviation
    points = density.sample(40_000, generator())
    place = ((points + density.extent) / (2 * density.extent) * n).long()
    counts = torch.bincount(place[:, 0] * n + place[:, 1], minlength=n * n).double()
    expected = expected.flatten() * len(points)
    assert counts[expected < 1e-6].sum() == 0
    held = expected > 5  # as the chi-square test wants it
    excess = (counts[held] - expected[held]).square() / expected[held]
    assert stats.chi2.sf(float(excess.sum()), int(held.sum()) - 1) > 1e-4


def test_places_and_widths_are_those_of_the_usual_toy_data():
    """Of Grathwohl et al. (2019), and what their names say: the points without their noise."""
    found = {name: density() for name, density in densities.DENSITIES.items()}
    widths = {
        "circle": 0.5 / math.sqrt(2),
        "grid": 0.25,
        "random": 0.35,
        "moons": 0.2,
        "spirals": 0.1,
        "rings": 0.08,
    }
    assert {name: found[name].deviation for name in widths} == pytest.approx(widths)
    at = {name: found[name].centres for name in widths}
    polar = {name: (x.norm(dim=1), torch.atan2(x[:, 1], x[:, 0])) for name, x in at.items()}

    radius, angle = polar["circle"]
    assert radius.numpy() == pytest.approx(4 / math.sqrt(2))
    turned = (angle / math.pi * 4).round(decimals=9) % 8
    assert sorted(turned.tolist()) == list(range(8))

    axis = (-4, -2, 0, 2, 4)
    assert sorted(map(tuple, at["grid"].tolist())) == [(x, y) for x in axis for y in axis]
    assert len(at["random"].unique(dim=0)) == 12
    assert 3 < at["random"].abs().max() <= 4
    assert (at["random"].min(0).values < -2).all()

    radius, _ = polar["rings"]
    sizes, counts = radius.round(decimals=9).unique(return_counts=True)
    assert (sizes.tolist(), len(set(counts.tolist()))) == ([0.75, 1.5, 2.25, 3], 1)

    upper, lower = at["moons"].chunk(2)
    for half, side in ((upper, 1), (lower, -1)):
        out = side * (half + side * torch.tensor([1.0, 0.5]))
        assert out.norm(dim=1).numpy() == pytest.approx(2)
        assert (out[:, 1] > 0).all()  # half a circle
        assert out[:, 0].mean().abs() < 1e-9

    arms = at["spirals"].chunk(2)
    assert torch.equal(arms[0], -arms[1])
    radius = arms[0].norm(dim=1)
    turned = torch.remainder(3 * radius, 2 * math.pi)  # an angle of three times the radius
    assert torch.cos(turned).numpy() == pytest.approx((arms[0][:, 0] / radius).numpy(), abs=1e-9)
    assert 3.1 < radius.max() < math.pi
    # as many points in a ring as its area asks for: the square of the radius is even
    assert (radius.square().sort().values.diff().std()) < 1e-9

    board = found["checkerboard"]
    assert (board.squares, board.side, board.extent) == (4, 2, 4)


@pytest.mark.parametrize("name", densities.DENSITIES)
def test_entropy_is_the_mean_log_density(name):
    density = densities.find(name)
    values = -density.log_prob(density.sample(20_000, generator(1)))
    error = float(values.std()) / math.sqrt(len(values))
    assert abs(float(values.mean()) - density.entropy) <= 4 * error + 1e-7  # float32


def test_entropy_of_one_gaussian_is_its_closed_form():
    one = densities.Mixture(torch.tensor([[0.3, -1.2]], dtype=torch.float64), 0.7)
    assert one.entropy == pytest.approx(math.log(2 * math.pi * math.e * 0.7**2), abs=1e-9)


def test_centres_along_curves_cannot_be_told_apart():
    """The density is the same all around a ring."""
    angle = torch.linspace(0, 2 * math.pi, 4001, dtype=torch.float64)
    around = 3 * torch.stack([torch.cos(angle), torch.sin(angle)], 1)
    values = densities.find("rings").log_prob(around)
    assert float(values.max() - values.min()) < 1e-6


def test_samples_follow_from_the_seed():
    density = densities.find("moons")
    first = density.sample(10, generator(3))
    assert torch.equal(first, density.sample(10, generator(3)))
    assert not torch.equal(first, density.sample(10, generator(4)))


def test_unknown_names_are_told_with_those_that_exist():
    with pytest.raises(PhysimError, match=r"target: got 'moon' \(did you mean 'moons'"):
        densities.find("moon")
    with pytest.raises(PhysimError, match=r"base: got 'uniform' \(did you mean 'soft-uniform'"):
        bases.find("uniform")


@pytest.mark.parametrize("name", bases.BASES)
def test_base_integrates_to_one_and_samples_follow_it(name):
    base = bases.find(name)

    def density(x):
        return math.exp(base.log_prob(torch.tensor([x], dtype=torch.float64)))

    whole = integrate.quad(density, -40, 40, points=[-2, 0, 2], limit=200)[0]
    assert whole == pytest.approx(1, abs=1e-9)
    x = base.sample((2000, 1), generator(), torch.float64)[:, 0].sort().values
    below = [
        integrate.quad(density, -40, float(at), points=[-2, 0, 2], limit=200)[0] for at in x[::50]
    ]
    ranks = torch.arange(0, 2000, 50) / 2000
    # the Kolmogorov-Smirnov distance of 2,000 points exceeds 0.045 once in 1,500 draws
    assert float((torch.tensor(below) - ranks).abs().max()) < 0.045


def test_soft_uniform_is_flat_inside_and_finite_everywhere():
    base = bases.find("soft-uniform")
    inside = base.log_prob(torch.linspace(-0.8, 0.8, 9)[:, None])
    torch.testing.assert_close(
        inside, torch.full((9,), -math.log(2 * math.sqrt(3))), atol=1e-3, rtol=0
    )
    far = base.log_prob(torch.tensor([[-50.0], [50.0]]))
    assert torch.isfinite(far).all()
    assert (far < -400).all()
    assert torch.isfinite(base.sample((200_000,), generator(), torch.float32)).all()
