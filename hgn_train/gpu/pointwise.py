"""Bias and leaky ReLU after a convolution in bf16 on a GPU, in one pass over the maps each way.

PyTorch adds the bias, bends the sum, and backward bends the gradient and sums it, in a pass each;
for the decoder, whose maps are the largest arrays of a training step, that is as long as half of
its convolutions.
"""

from __future__ import annotations

import functools
import threading
from importlib import resources
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hgn_train.gpu import cuda

THREADS = 256
"""Of a block."""

BLOCKS = 1056
"""At most: as many as a large GPU works on at once."""

LANES = 8
"""Channels of a vector."""

_compiling = threading.Lock()


def suits(x: Tensor, channels: int) -> bool:
    """Whether `leaky` can do it.

    Arguments:
        x: What the convolution sees.
        channels: That it makes.
    """
    if not cuda.suits(x) or not torch.is_autocast_enabled("cuda"):
        return False
    groups, rest = divmod(channels, LANES)
    fits = rest == 0 and 0 < groups <= THREADS and THREADS % groups == 0
    return fits and torch.get_autocast_dtype("cuda") == torch.bfloat16 and cuda.has_compiler()


def leaky(y: Tensor, bias: Tensor, slope: float) -> Tensor:
    """Leaky ReLU of y + bias, written over y.

    Arguments:
        y: What a convolution without a bias gives, (batch, channel, height, width) in bf16.
        bias: (channel,).
        slope: Of the leaky ReLU below zero, above 0; 1 for none.
    """
    found: Tensor = _Leaky.apply(y.contiguous(memory_format=torch.channels_last), bias, slope)
    return found


def source(channels: int) -> str:
    """The kernels for so many channels."""
    kernels = (resources.files("hgn_train.gpu") / "pointwise.cu").read_text(encoding="utf-8")
    lines = [f"#define THREADS {THREADS}", f"#define GROUPS {channels // LANES}", kernels]
    return "\n".join(lines)


def program_for(channels: int, device: torch.device) -> Any:
    """The kernels, compiled once."""
    with _compiling:
        return compiled(channels, device)


@functools.lru_cache(maxsize=64)
def compiled(channels: int, device: torch.device) -> Any:
    """As `program_for`, by one thread at a time."""
    with torch.cuda.device(device):
        shared = {"activate": 0, "activate_back": 4 * LANES * THREADS}
        return cuda.Program(source(channels), shared, THREADS)


class _Leaky(torch.autograd.Function):
    """Both passes."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, bias: Tensor, slope: float) -> Tensor:
        channels = y.shape[1]
        rows = y.numel() // channels
        ctx.program, ctx.slope = program_for(channels, y.device), slope
        ctx.blocks = max(1, min(BLOCKS, rows * channels // (LANES * THREADS)))
        ctx.program.launch("activate", ctx.blocks, [rows, float(slope), y, bias.detach().float()])
        ctx.mark_dirty(y)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        channels = y.shape[1]
        gradient = gradient.to(y.dtype).contiguous(memory_format=torch.channels_last)
        of_x = torch.empty_like(y)
        sums = torch.empty(ctx.blocks, channels, device=y.device)
        rows = y.numel() // channels
        words = [rows, float(ctx.slope), y, gradient, of_x, sums]
        ctx.program.launch("activate_back", ctx.blocks, words)
        return of_x, sums.sum(0), None
