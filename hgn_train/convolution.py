"""Convolutions with kernel 3 in float32 on a processor, each with its leaky ReLU and gradients.

PyTorch's library multiplies all of it out. `hgn_train/winograd.py` takes a quarter of the
multiplications; here it is made a function that PyTorch differentiates, on as many threads as
PyTorch uses. Rounding differs from the library's in the sixth digit. A batch is divided into the
same parts whatever the number of threads, so results do not depend on it.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from hgn_train import winograd

PARTS = 8
"""Of a batch."""

TILES = 64
"""That are worked on at once: what they are at their points stays in the cache."""

_library = contextvars.ContextVar("library", default=False)


@contextlib.contextmanager
def by_library() -> Iterator[None]:
    """Have PyTorch's library do all convolutions meanwhile, as for second derivatives."""
    token = _library.set(True)
    try:
        yield
    finally:
        _library.reset(token)


def prepare() -> None:
    """Compile the kernels, once a machine, or load what was compiled."""
    _ = winograd.forward.compiled, winograd.backward.compiled


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


class Leaky(torch.autograd.Function):
    """`leaky` with its gradients; second derivatives are refused."""

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, slope: float, factor: int
    ) -> Tensor:
        data, kernel, output = winograd.matrices(factor)
        g = torch.from_numpy(kernel)
        at_points = torch.einsum("ia,jb,kcab->ijck", g, g, weight).flatten(0, 1)
        x = channels_last(x)
        batch, height, width, _ = x.shape
        y = x.new_empty(batch, factor * height, factor * width, len(weight))
        step = winograd.TILE // factor
        group = max(1, TILES * winograd.TILE**2 // (height * width * factor**2))
        work = partial(
            winograd.forward.compiled,
            x.numpy(), full(at_points), bias.detach().numpy(), slope, data, output, step,
            y.numpy(), group,
        )  # fmt: skip
        in_parts(lambda part, start, stop: work(start, stop), batch, group)
        ctx.save_for_backward(x, y, at_points)
        ctx.slope, ctx.factor, ctx.group = slope, factor, group
        return y.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        x, y, at_points = ctx.saved_tensors
        data, kernel, output = winograd.matrices(ctx.factor)
        batch, channels, outputs = len(x), x.shape[-1], y.shape[-1]
        asked = ctx.needs_input_grad[0]
        of_x = torch.empty_like(x) if asked else x.new_empty(0, 0, 0, 0)
        wide = outputs + -outputs % winograd.LANES
        of_weights = x.new_zeros(PARTS, len(at_points), channels, wide)
        of_biases = x.new_zeros(PARTS, outputs)
        work = partial(
            winograd.backward.compiled,
            x.numpy(), y.numpy(), channels_last(gradient).numpy(), full(at_points.mT), ctx.slope,
            data, output, winograd.TILE // ctx.factor, of_x.numpy(), ctx.group,
        )  # fmt: skip

        def call(part: int, start: int, stop: int) -> None:
            work(of_weights[part].numpy(), of_biases[part].numpy(), start, stop)

        in_parts(call, batch, ctx.group)
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


def in_parts(call: Callable[[int, int, int], None], batch: int, group: int) -> None:
    """Divide a batch among PyTorch's number of threads.

    Arguments:
        call: What each part is given to: its number, the first of the batch, and the one after
            the last.
        batch: How many there are.
        group: Parts are multiples of it.
    """
    groups = -(-batch // group)
    edges = [min(batch, groups * part // PARTS * group) for part in range(PARTS + 1)]
    jobs = [
        job for job in zip(range(PARTS), edges[:-1], edges[1:], strict=True) if job[1] < job[2]
    ]
    threads = min(torch.get_num_threads(), len(jobs))
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda job: call(*job), jobs))
    else:
        for job in jobs:
            call(*job)
