"""Energy networks: the written-out gradient is the gradient, and it can be differentiated."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hgn_train.activations import CURVATURE, SMOOTH
from hgn_train.hamiltonian import (
    Energy,
    Joint,
    Separable,
    convolutional_energy,
    frequencies,
    mlp_energy,
)
from hgn_train.layers import Convolution


def networks(activation):
    torch.manual_seed(0)
    yield mlp_energy(6, (12, 9), activation).double(), (6,)
    yield mlp_energy(6, (), activation).double(), (6,)
    yield mlp_energy(6, (5,), activation, frequencies(6)).double(), (6,)
    yield convolutional_energy(2, 4, (5,), activation, [0.5, 2.0]).double(), (2, 4, 4)
    yield convolutional_energy(3, 4, (5, 6, 7, 8), activation).double(), (3, 4, 4)
    yield convolutional_energy(2, 8, (5, 6), activation).double(), (2, 8, 8)


@pytest.mark.parametrize("activation", SMOOTH)
@settings(max_examples=8)
@given(seed=st.integers(0, 1000))
def test_gradient_is_the_derivative_of_the_value(activation, seed):
    generator = torch.Generator().manual_seed(seed)
    for network, shape in networks(activation):
        x = torch.randn(3, *shape, generator=generator, dtype=torch.float64, requires_grad=True)
        (truth,) = torch.autograd.grad(network(x).sum(), x)
        # float64 sums of a few hundred terms
        torch.testing.assert_close(network.gradient(x), truth, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("activation", SMOOTH)
def test_slope_is_the_derivative_of_the_activation(activation):
    value_of, slope_of = SMOOTH[activation]
    u = torch.linspace(-4, 4, 81, dtype=torch.float64)
    slope = torch.func.vmap(torch.func.grad(value_of))(u)
    torch.testing.assert_close(slope_of(u), slope, rtol=1e-12, atol=1e-14)
    bend = torch.func.vmap(torch.func.grad(slope_of))(u)
    torch.testing.assert_close(CURVATURE[activation](u), bend, rtol=1e-11, atol=1e-13)


def test_gradient_agrees_with_finite_differences():
    for network, shape in networks("softplus"):
        x = torch.randn(1, *shape, dtype=torch.float64)
        direction = torch.nn.functional.normalize(torch.randn_like(x).flatten(), dim=0).reshape(
            x.shape
        )
        step = 1e-5
        slope = (network(x + step * direction) - network(x - step * direction)) / (2 * step)
        along = (network.gradient(x) * direction).sum()
        assert abs((slope - along).item()) < 1e-8  # step² times the third derivative


def test_gradient_has_a_second_derivative_in_every_weight():
    for network, shape in networks("softplus"):
        x = torch.randn(4, *shape, dtype=torch.float64)
        (network.gradient(x) ** 2).sum().backward()
        for name, weight in network.named_parameters():
            assert weight.grad is not None or not weight.requires_grad, name


def test_paper_sizes():
    energy = convolutional_energy(16, 4, (32, 64, 64, 64))
    layers = list(energy.layers)
    assert [layer.kernel_size[0] for layer in layers] == [3, 2, 2, 2, 2]
    assert [layer.stride[0] for layer in layers] == [1, 2, 1, 2, 1]
    assert [layer.size_out for layer in layers] == [4, 2, 2, 1, 1]
    assert (
        sum(weight.numel() for weight in energy.parameters()) == 46_049
    )  # as in the authors' code


def test_joint_gradients_are_the_halves_of_one():
    torch.manual_seed(0)
    joint = Joint(mlp_energy(6, (10, 10))).double()
    q, p = (torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    dq, dp = torch.autograd.grad(joint(q, p).sum(), (q, p))
    torch.testing.assert_close(joint.dq(q, p), dq)
    torch.testing.assert_close(joint.dp(q, p), dp)


def test_separable_ignores_the_other_half():
    torch.manual_seed(0)
    h = Separable(mlp_energy(3, (8,)), mlp_energy(3, (8,)))
    q, p = torch.randn(2, 3), torch.randn(2, 3)
    assert torch.equal(h.dq(q, p), h.dq(q, p + 1))
    assert torch.equal(h.dp(q, p), h.dp(q + 1, p))
    torch.testing.assert_close(h(q, p), h.kinetic(p) + h.potential(q))


def test_same_padding_puts_the_odd_pixel_at_the_end():
    """Kernel 3, stride 2 on an even size: the window of the first output starts at the first
    pixel."""
    layer = Convolution(1, 1, 3, 2, size=4)
    torch.nn.init.zeros_(layer.weight)
    layer.weight.data[0, 0, 0, 0] = 1.0
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert layer(x).flatten().tolist() == [0.0, 2.0, 8.0, 10.0]


def test_an_activation_that_does_not_exist_is_named():
    with pytest.raises(Exception, match="activation: got 'relu'"):
        Energy([torch.nn.Linear(2, 1)], "relu")


def test_the_quadratic_part_is_an_oscillator():
    """k of T and V alike: q comes back after 2π / k."""
    from hgn_train.integrators import INTEGRATORS, rollout

    still = [mlp_energy(1, (4,), stiffness=[2.0]).double() for _ in range(2)]
    for energy in still:
        torch.nn.init.zeros_(energy.layers[-1].weight)
    q, p = torch.ones(1, 1).double(), torch.zeros(1, 1).double()
    steps = 1000
    qs, _ps = rollout(INTEGRATORS["yoshida4"], Separable(*still), q, p, torch.pi / steps, steps)
    assert abs(qs[0, -1, 0].item() - 1) < 1e-6
    assert abs(qs[0, steps // 4, 0].item()) < 1e-6


@pytest.mark.parametrize("n", [1, 2, 16])
def test_frequencies_are_the_middles_of_equal_parts(n):
    """From a quarter to three."""
    edges = torch.linspace(0.25, 3, n + 1)
    torch.testing.assert_close(torch.tensor(frequencies(n)), (edges[1:] + edges[:-1]) / 2)


@pytest.mark.parametrize("activation", SMOOTH)
def test_unfolded_is_the_same_gradient_of_flattened_maps(activation):
    """Also in every weight, which the matrices are made of."""
    for network, shape in networks(activation):
        x = torch.randn(5, *shape, dtype=torch.float64)
        found = network.unfolded().gradient(x.flatten(1))
        truth = network.gradient(x).flatten(1)
        torch.testing.assert_close(found, truth, rtol=1e-11, atol=1e-13)  # sums of some hundreds
        pull = torch.randn_like(truth)
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        expected = torch.autograd.grad(truth, weights, pull, allow_unused=True)
        grads = torch.autograd.grad(found, weights, pull, allow_unused=True)
        for one, other in zip(grads, expected, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
