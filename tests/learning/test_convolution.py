"""Convolutions by Winograd's algorithm against PyTorch's in float64."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from hgn_train import convolution, winograd
from hgn_train.layers import Convolution, UpsamplingConvolution

NAMES = ("x", "weight", "bias")


@pytest.fixture
def numbers():
    return torch.Generator().manual_seed(0)


def leaves(numbers, batch, channels, outputs, height, width):
    """x, weight and bias of about the size that gives outputs of size 1."""
    shapes = (batch, channels, height, width), (outputs, channels, 3, 3), (outputs,)
    scales = 1.0, (9 * channels) ** -0.5, 0.1
    drawn = (torch.randn(s, generator=numbers) * c for s, c in zip(shapes, scales, strict=True))
    return [x.requires_grad_() for x in drawn]


def plain(x, weight, bias, factor):
    """Nearest upsampling and PyTorch's convolution, in float64."""
    x, weight, bias = (value.double() for value in (x, weight, bias))
    if factor > 1:
        x = functional.interpolate(x, scale_factor=float(factor), mode="nearest")
    return functional.conv2d(x, weight, bias, padding=1)


def distance(found, truth):
    return ((found - truth).norm() / truth.norm()).item()


@pytest.mark.parametrize("factor", [1, 2])
def test_matrices_make_a_convolution(factor):
    """Aᵀ [(G w) ∘ (B d)] is the correlation of one side, up to the rounding of the sixths in G."""
    data, kernel, output = (matrix.astype(float) for matrix in winograd.matrices(factor))
    generator = np.random.default_rng(0)
    seen = data.shape[1]
    d, w = generator.integers(-9, 10, seen), generator.integers(-9, 10, 3)
    wide = np.repeat(d, 2)[1:7] if factor == 2 else d
    found = output.T @ ((kernel @ w) * (data @ d))
    np.testing.assert_allclose(found, np.correlate(wide, w, "valid"), atol=1e-5)


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1, 4, 4),
        (5, 3, 64, 8, 8),  # fewer than a group
        (70, 18, 6, 4, 8),  # groups that are not full, a batch that is not whole parts
        (9, 64, 3, 32, 32),
        (3, 37, 41, 12, 20),  # rows of every width that products are divided into
    ],
)
def test_value_and_gradients_are_those_of_float64(factor, shape, numbers):
    """2e-5 is about 100 roundings of float32: the transforms have numbers up to 8."""
    given = leaves(numbers, *shape)
    truth = plain(*given, factor)
    found = convolution.leaky(*given, 1.0, factor)
    assert found.shape == truth.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert distance(found, truth) < 2e-5
    pull = torch.randn(truth.shape, generator=numbers)
    expected = torch.autograd.grad(truth, given, pull.double())
    gradients = torch.autograd.grad(found, given, pull)
    for name, one, other in zip(NAMES, gradients, expected, strict=True):
        assert one.dtype == torch.float32
        assert distance(one, other) < 2e-5, name


@pytest.mark.parametrize("factor", [1, 2])
def test_leaky_relu_is_pytorchs(factor, numbers):
    """The same numbers, and gradients up to rounding: what is below zero is the same."""
    given = leaves(numbers, 20, 10, 12, 8, 8)
    truth = functional.leaky_relu(convolution.leaky(*given, 1.0, factor), 0.2)
    found = convolution.leaky(*given, 0.2, factor)
    assert 0.2 < (truth < 0).float().mean() < 0.8
    torch.testing.assert_close(found, truth, rtol=1e-6, atol=0)
    pull = torch.randn(truth.shape, generator=numbers)
    expected = torch.autograd.grad(truth, given, pull)
    for one, other in zip(torch.autograd.grad(found, given, pull), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_threads_and_layout_do_not_change_a_bit(numbers):
    given = leaves(numbers, 200, 9, 16, 8, 8)
    pull = torch.randn(200, 16, 8, 8, generator=numbers)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        for layout in (torch.contiguous_format, torch.channels_last):
            y = convolution.leaky(given[0].contiguous(memory_format=layout), *given[1:], 0.2)
            found.append(
                (y, *torch.autograd.grad(y, given, pull.contiguous(memory_format=layout)))
            )
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


ALONE = """
import time, numba, torch
from hgn_train import convolution
torch.set_num_threads(1)
x, weight, bias = torch.randn(64, 16, 32, 32), torch.randn(16, 16, 3, 3), torch.zeros(16)
for _ in range(20):
    wall, processor = time.perf_counter(), time.process_time()
    convolution.leaky(x, weight, bias)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
print(torch.get_num_threads(), numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS)
print(processor / wall)
"""


def test_one_thread_is_one_from_the_start():
    """In a process where nothing has started Numba's threads, which would set PyTorch's."""
    out = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    kept, share = out.stdout.splitlines()
    assert kept == "1 True"
    assert float(share) < 1.2


def test_frames_do_not_meet(numbers):
    """What is not a number in one of the batch stays there."""
    x, weight, bias = leaves(numbers, 6, 4, 8, 8, 8)
    with torch.no_grad():
        x[2] = torch.nan
    y = convolution.leaky(x, weight, bias, 0.2)
    assert [bool(one.isnan().all()) for one in y] == [i == 2 for i in range(6)]
    assert not y[[0, 1, 3, 4, 5]].isnan().any()


def test_no_gradient_is_made_of_what_needs_none(numbers):
    x, weight, bias = leaves(numbers, 6, 4, 8, 8, 8)
    y = convolution.leaky(x.detach(), weight, bias, 0.2)
    truth = torch.autograd.grad(convolution.leaky(x, weight, bias, 0.2).sum(), weight)
    torch.testing.assert_close(torch.autograd.grad(y.sum(), weight), truth)
    with torch.no_grad():
        assert not convolution.leaky(x, weight, bias).requires_grad


@pytest.mark.parametrize("batch", [0, 1])
def test_small_batches(batch, numbers):
    x, weight, bias = leaves(numbers, batch, 4, 8, 8, 8)
    y = convolution.leaky(x, weight, bias)
    assert y.shape == (batch, 8, 8, 8)
    y.sum().backward()
    assert bias.grad.tolist() == [64.0 * batch] * 8


def layers():
    torch.manual_seed(0)
    return Convolution(6, 8, 3, size=8), UpsamplingConvolution(6, 8)


@pytest.mark.parametrize("which", [0, 1])
def test_layers_take_it_and_the_library_agrees(which, numbers, monkeypatch):
    layer = layers()[which]
    x = torch.randn(4, 6, 8, 8, generator=numbers)
    found = layer.leaky(x, 0.1)
    assert found.grad_fn.name() == "LeakyBackward"
    with convolution.by_library():
        truth = layer.leaky(x, 0.1)
    assert truth.grad_fn.name().startswith("LeakyReluBackward")
    torch.testing.assert_close(found, truth, rtol=1e-4, atol=1e-5)


def doubled(layer, x):
    return layer.double().leaky(x.double())


def in_bf16(layer, x):
    with torch.autocast("cpu", torch.bfloat16):
        return layer.leaky(x)


def odd(layer, x):
    return layer.leaky(x[..., :5, :5])


def mapped(layer, x):
    return torch.func.vmap(layer.leaky)(x[:, None])[:, 0]


def compiled(layer, x):
    return torch.compile(layer.leaky, fullgraph=True, backend="eager")(x)


def traced(layer, x):
    layer.requires_grad_(False)
    return torch.jit.trace(lambda x: layer.leaky(x), x, check_trace=False)(x)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("way", [doubled, in_bf16, odd, mapped, compiled, traced])
@pytest.mark.parametrize("which", [0, 1])
def test_what_it_does_not_suit_goes_to_the_library(which, way, numbers, monkeypatch):
    layer = layers()[which]
    x = torch.randn(4, 6, 8, 8, generator=numbers)
    with convolution.by_library():
        truth = way(layer, x)
    monkeypatch.setattr(convolution, "leaky", None)  # a call would fail
    assert torch.equal(way(layer, x), truth)


@pytest.mark.parametrize("asked", [(True, True, True), (False, True, False), (True, False, False)])
@pytest.mark.parametrize("which", [0, 1])
def test_second_derivatives_are_the_librarys(which, asked, numbers):
    """Of a penalty on gradients, as some objectives have."""
    layer = layers()[which]
    x = torch.randn(2, 6, 8, 8, generator=numbers)
    all_leaves = (x, layer.weight, layer.bias)
    for leaf, need in zip(all_leaves, asked, strict=True):
        leaf.requires_grad_(need)
    leaves = [leaf for leaf in all_leaves if leaf.requires_grad]

    def bends():
        slopes = torch.autograd.grad((layer.leaky(x, 0.1) ** 3).sum(), leaves, create_graph=True)
        return torch.autograd.grad(sum((slope**2).sum() for slope in slopes), leaves)

    found = bends()
    with convolution.by_library():
        truth = bends()
    for one, other in zip(found, truth, strict=True):
        assert distance(one, other) < 1e-4
