"""Convolutions with kernel 3 in float32 on a processor, each with its leaky ReLU and gradients.

PyTorch's library multiplies all of it out. `hgn_train/winograd.py` takes a quarter of the
multiplications; here it is made a function that PyTorch differentiates, on as many threads as
PyTorch uses. Rounding differs from the library's in the sixth digit. A batch is divided into the
same parts whatever the number of threads, so results do not depend on it.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hgn_train import winograd
from physim.kernels import Kernel

PARTS, SUMS = 64, 8
"""Into how many a batch is divided, and where each has sums of its own, which take memory."""

TILES = 64
"""That are worked on at once: what they are at their points stays in the cache."""

_alone = threading.Lock()
"""Held where Numba found no OpenMP and no TBB: its own threads take one call at a time."""

_library = contextvars.ContextVar("library", default=False)


@contextlib.contextmanager
def by_library() -> Iterator[None]:
    """Have PyTorch's library do all convolutions meanwhile, as where the two are compared."""
    token = _library.set(True)
    try:
        yield
    finally:
        _library.reset(token)


def prepare() -> None:
    """Compile the kernels, once a machine, or load what was compiled."""
    loaded(winograd.forward)
    loaded(winograd.backward)


def suits(x: Tensor, factor: int = 1) -> bool:
    """Whether `leaky` can do it: float32 on a processor, plain calls, whole tiles.

    Arguments:
        x: Input maps, (batch, channel, height, width).
        factor: By which they are upsampled first.
    """
    if torch.compiler.is_compiling() or x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    plain = not (
        torch.is_autocast_enabled("cpu")
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
        or _library.get()
    )
    return plain and all(side * factor % winograd.TILE == 0 for side in x.shape[2:])


def leaky(x: Tensor, weight: Tensor, bias: Tensor, slope: float = 1.0, factor: int = 1) -> Tensor:
    """Leaky ReLU of a convolution with kernel 3 and padding 1, for what `suits`.

    Arguments:
        x: Input maps, (batch, channel, height, width).
        weight: (channel of y, channel of x, 3, 3).
        bias: (channel of y,).
        slope: Of the leaky ReLU below zero, above 0; 1 for none.
        factor: By which the maps are upsampled first, nearest, 1 or 2.

    Returns:
        y, (batch, channel, factor · height, factor · width), channels last in memory.
    """
    return Leaky.apply(x, weight, bias, slope, factor)


def leaky_relu(y: Tensor, slope: float) -> Tensor:
    """Leaky ReLU, written over y, or nothing where the slope below zero is that above."""
    return y if slope == 1 else functional.leaky_relu(y, slope, inplace=True)


def plainly(x: Tensor, weight: Tensor, bias: Tensor, slope: float, factor: int) -> Tensor:
    """As `leaky`, by PyTorch's library."""
    if factor > 1:
        x = functional.interpolate(x, scale_factor=float(factor), mode="nearest")
    return leaky_relu(functional.conv2d(x, weight, bias, padding=1), slope)


class Leaky(torch.autograd.Function):
    """`leaky` with its gradients; where these are differentiated again, the library makes them."""

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, slope: float, factor: int
    ) -> Tensor:
        data, kernel, output = winograd.matrices(factor)
        g = torch.from_numpy(kernel)
        at_points = torch.einsum("ia,jb,kcab->ijck", g, g, weight).flatten(0, 1)
        maps = channels_last(x)
        batch, height, width, _ = maps.shape
        y = x.new_empty(batch, factor * height, factor * width, len(weight))
        step = winograd.TILE // factor
        group = max(1, TILES * winograd.TILE**2 // (height * width * factor**2))
        call(
            winograd.forward, maps.numpy(), full(at_points), bias.detach().numpy(), slope, data,
            output, step, y.numpy(), group, edges(batch, group, PARTS),
        )  # fmt: skip
        ctx.save_for_backward(x, weight, bias, y, at_points)
        ctx.slope, ctx.factor, ctx.group = slope, factor, group
        return y.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        x, weight, bias, y, at_points = ctx.saved_tensors
        if torch.is_grad_enabled():
            again = plainly(x, weight, bias, ctx.slope, ctx.factor)
            leaves = (x, weight, bias)
            asked = [one for one, need in zip(leaves, ctx.needs_input_grad, strict=False) if need]
            found = iter(torch.autograd.grad(again, asked, gradient, create_graph=True))
            return tuple(next(found) if need else None for need in ctx.needs_input_grad)
        x = channels_last(x)
        data, kernel, output = winograd.matrices(ctx.factor)
        batch, channels, outputs = len(x), x.shape[-1], y.shape[-1]
        asked = ctx.needs_input_grad[0]
        of_x = torch.empty_like(x) if asked else x.new_empty(0, 0, 0, 0)
        wide = outputs + -outputs % winograd.LANES
        of_weights = x.new_zeros(SUMS, len(at_points), channels, wide)
        of_biases = x.new_zeros(SUMS, outputs)
        call(
            winograd.backward, x.numpy(), y.numpy(), channels_last(gradient).numpy(),
            full(at_points.mT), ctx.slope, data, output, winograd.TILE // ctx.factor, of_x.numpy(),
            ctx.group, of_weights.numpy(), of_biases.numpy(), edges(batch, ctx.group, SUMS),
        )  # fmt: skip
        g = torch.from_numpy(kernel)
        at_points = of_weights.sum(0)[..., :outputs].unflatten(0, (len(g), len(g)))
        of_weight = torch.einsum("ia,jb,ijck->kcab", g, g, at_points)
        of_input = of_x.permute(0, 3, 1, 2) if asked else None
        return of_input, of_weight, of_biases.sum(0), None, None


def channels_last(maps: Tensor) -> Tensor:
    """(batch, channel, height, width) as (batch, height, width, channel) without gaps."""
    return maps.detach().permute(0, 2, 3, 1).contiguous()


def full(at_points: Tensor) -> Any:
    """Weights at the points with zeros behind, so that rows are full."""
    missing = -at_points.shape[-1] % winograd.LANES
    return functional.pad(at_points, (0, missing)).contiguous().numpy()


def edges(batch: int, group: int, parts: int) -> np.ndarray:
    """Where the parts of a batch begin, at multiples of `group`, and where it ends."""
    groups = -(-batch // group)
    return np.minimum(batch, groups * np.arange(parts + 1) // parts * group)


def call(kernel: Kernel, *arguments: Any) -> None:
    """Run a kernel on PyTorch's number of threads."""
    compiled = loaded(kernel)
    before = numba.get_num_threads()
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    alone = _alone if numba.threading_layer() == "workqueue" else contextlib.nullcontext()
    numba.set_num_threads(min(torch.get_num_threads(), most))
    try:
        with alone:
            compiled(*arguments)
    finally:
        numba.set_num_threads(before)


def loaded(kernel: Kernel) -> Callable[..., Any]:
    """The machine code, with Numba's threads started.

    Where they are OpenMP's, starting them sets PyTorch's number too, which is put back.
    """
    threads = torch.get_num_threads()
    compiled = kernel.compiled
    numba.get_num_threads()
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    return compiled
