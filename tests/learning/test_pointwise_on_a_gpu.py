"""Bias and leaky ReLU in one pass each way: as PyTorch, to the rounding of bf16."""

import shutil

import emulated
import pytest
import torch
from torch.nn import functional

from hgn_train.gpu import cuda, plain_calls, pointwise
from hgn_train.layers import Convolution, UpsamplingConvolution

SLOPES = [0.2, 0.01, 1.0]


def inputs(channels, device="cpu"):
    """Maps in bf16, channels last, a bias and what comes back."""
    generator = torch.Generator().manual_seed(0)
    y, back = torch.randn(2, 3, channels, 6, 4, generator=generator).bfloat16().to(device)
    y, back = (x.contiguous(memory_format=torch.channels_last) for x in (y, back))
    return y, torch.randn(channels, generator=generator).to(device), back


def truth(y, bias, back, slope):
    """In float64, from the same numbers in bf16."""
    y, bias = (x.detach().double().requires_grad_() for x in (y, bias))
    out = functional.leaky_relu(y + bias[:, None, None], slope)
    return out.detach(), *torch.autograd.grad(out, (y, bias), back.double())


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("channels", [8, 32])
def test_kernels_do_what_pytorch_does(channels, slope, monkeypatch, tmp_path):
    monkeypatch.setattr(pointwise, "THREADS", 16)
    monkeypatch.setattr(pointwise, "BLOCKS", 3)
    kernels = ("activate", "activate_back")
    program = emulated.Program(pointwise.source(channels), tmp_path, kernels)
    monkeypatch.setattr(pointwise, "program_for", lambda channels, device: program)
    y, bias, back = inputs(channels)
    expected = truth(y, bias, back, slope)
    start, bias = y.clone().requires_grad_(), bias.requires_grad_()
    out = pointwise.leaky(start * 1, bias, slope)
    found = (out, *torch.autograd.grad(out, (start, bias), back))
    assert program.launches == list(kernels)
    assert torch.equal(found[0], expected[0].float().bfloat16())  # rounded once, as it should be
    torch.testing.assert_close(found[1].double(), expected[1], rtol=2**-8, atol=0)
    torch.testing.assert_close(found[2].double(), expected[2], rtol=1e-5, atol=1e-5)


def test_a_processor_and_odd_channels_are_pytorchs():
    assert not pointwise.suits(torch.zeros(1, 8, 4, 4), 8)


@pytest.mark.gpu
@pytest.mark.parametrize("layer", [Convolution(16, 64, 3, size=8), UpsamplingConvolution(16, 64)])
def test_a_gpu_does_what_pytorch_does(layer, monkeypatch):
    """A layer under autocast, against float64, beside PyTorch's own kernels."""
    torch.manual_seed(0)
    with torch.no_grad():
        layer.bias.normal_()
    x = torch.randn(200, 16, 8, 8)
    launched = []
    launch = cuda.Program.launch
    monkeypatch.setattr(
        cuda.Program, "launch", lambda *words: (launched.append(words[1]), launch(*words))
    )
    found = []
    for plain in (False, True):
        moved = layer.to("cuda", torch.float32, memory_format=torch.channels_last)
        start = x.cuda().contiguous(memory_format=torch.channels_last).requires_grad_()
        with torch.autocast("cuda", torch.bfloat16):
            if plain:
                with plain_calls():
                    out = moved.leaky(start, 0.2)
            else:
                out = moved.leaky(start, 0.2)
        leaves = (start, moved.weight, moved.bias)
        found.append([out, *torch.autograd.grad(out.float().square().sum(), leaves)])
    assert launched == ["activate", "activate_back"]
    exact = layer.to("cpu", torch.float64)
    start = x.double().requires_grad_()
    out = exact.leaky(start, 0.2)
    leaves = (start, exact.weight, exact.bias)
    expected = [out, *torch.autograd.grad(out.square().sum(), leaves)]
    for ours, theirs, true in zip(*found, expected, strict=True):
        away = [
            ((one.double().cpu() - true).norm() / true.norm()).item() for one in (ours, theirs)
        ]
        assert away[0] < 1e-2
        assert away[0] < 1.5 * away[1]
