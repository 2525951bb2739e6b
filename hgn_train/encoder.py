"""Encoders: from the first frames to a Gaussian over z, and from z to the state s = (q, p).

The frames are stacked on the channel axis, frame 0 red, green, blue, frame 1 red, … A posterior is
a diagonal Gaussian given by its mean and the logarithm of its standard deviation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hgn_train.layers import Convolution, linear
from physim.errors import PhysimError

SLOPE = 0.01
"""Of the leaky ReLU of `VectorEncoder` below zero."""


def check_blocks(blocks: Sequence[Sequence[int]]) -> None:
    """Refuse blocks that make no encoder.

    Arguments:
        blocks: Widths of each.

    Raises:
        PhysimError: There is none, or one without a convolution.
    """
    if not blocks or not all(blocks):
        got = [list(block) for block in blocks]
        raise PhysimError(f"encoder: got {got}, expected at least one block, each with widths")


class MapEncoder(nn.Module):
    """Frames to maps of a quarter of a quarter of the pixels: the encoder of the paper's authors.

    Each block is a convolution with kernel 2 and stride 2, then one with kernel 4, ReLU after each
    but the last.

    Arguments:
        channels: Channels of the stacked frames.
        size: Side in pixels.
        blocks: Pairs of widths; the last pair has one, as its second is that of mean and log σ.
        latent: Channels of z.
        log_sigma: log σ at the start.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        blocks: Sequence[Sequence[int]],
        latent: int,
        log_sigma: float,
    ) -> None:
        super().__init__()
        layers = []
        for block in [*blocks[:-1], [*blocks[-1], 2 * latent]]:
            for index, width in enumerate(block):
                first = index == 0
                layer = Convolution(
                    channels,
                    width,
                    2 if first else 4,
                    2 if first else 1,
                    same=not first,
                    size=size,
                )
                layers.append(layer)
                channels, size = width, layer.size_out
        self.layers = nn.ModuleList(layers)
        self.size = size
        _start_log_sigma(layers[-1], latent, log_sigma)

    def forward(
        self, frames: Float[Tensor, "batch stacked height width"]
    ) -> tuple[Tensor, Tensor]:
        """Mean and log σ of z, each (batch, latent, size, size)."""
        for layer in self.layers[:-1]:
            frames = torch.relu(layer(frames))
        mean, log_sigma = self.layers[-1](frames).float().chunk(2, 1)
        return mean, log_sigma


class VectorEncoder(nn.Module):
    """Frames to a vector, after HGN++: each block halves the size, kernels of 3.

    Arguments:
        channels: Channels of the stacked frames.
        size: Side in pixels.
        blocks: Widths of the convolutions of each block.
        latent: Numbers in z.
        log_sigma: log σ at the start.
        frames: How many frames are stacked.
        moments: Highest degree of the image moments that the last layer sees besides; 0 for none.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        blocks: Sequence[Sequence[int]],
        latent: int,
        log_sigma: float,
        frames: int = 1,
        moments: int = 0,
    ) -> None:
        super().__init__()
        self.moments = Moments(frames, channels // frames, size, moments) if moments else None
        layers = []
        for block in blocks:
            for index, width in enumerate(block):
                layer = Convolution(channels, width, 3, 2 if index == 0 else 1, size=size)
                layers.append(layer)
                channels, size = width, layer.size_out
        self.layers: Any = nn.ModuleList(layers)
        seen = channels * size * size + (self.moments.size if self.moments is not None else 0)
        self.head = linear(seen, 2 * latent)
        if self.moments is not None:  # corrections, of which most are noise: start without them
            with torch.no_grad():
                self.head.weight[:, -self.moments.products :] = 0
        self.size = 0
        _start_log_sigma(self.head, latent, log_sigma)

    def forward(
        self, frames: Float[Tensor, "batch stacked height width"]
    ) -> tuple[Tensor, Tensor]:
        """Mean and log σ of z, each (batch, latent)."""
        x = frames
        for layer in self.layers:
            x = layer.leaky(x, SLOPE)
        features = x.flatten(1)
        if self.moments is not None:
            features = torch.cat([features, self.moments(frames)], 1)
        mean, log_sigma = self.head(features).float().chunk(2, 1)
        return mean, log_sigma


class Moments(nn.Module):
    """Image moments of each frame, whitened over the data; nothing in them is learned.

    A moment is Σ P_a(x) P_b(y) v over the pixels of a channel, with P the Legendre polynomials and
    x and y from -1 to 1. Those of degree 1 say where bodies are, to a part of a pixel. What is
    missing is how the grid falls on a body's edge, and that shows in the moments of products: v is
    the pixel's value in the first part, and in the second its square, or its product with the
    pixel to the right, below, or on one of the two diagonals.

    How bodies move is in differences of nearly equal numbers. So the first part, of all frames, is
    rotated to its principal directions, and each is divided by its deviation: velocities, and what
    in them does not follow from the positions, come out as large as positions. The second part is
    what the first does not already say, rotated and divided likewise.

    Arguments:
        frames: How many are stacked.
        channels: Channels of a frame.
        size: Side in pixels.
        degree: Highest a + b of the first part; that of the second is 1.
    """

    NEIGHBOURS = ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1))
    """Rows down and columns right of the pixel that one is multiplied with."""
    FLOOR = 1e-5
    """Variance, as a share of the largest, below which a direction counts as noise."""
    CORRECTION = 0.1
    """Deviation of the second part: much of it is noise, so it is learned after the first."""

    functions: Tensor
    mean: Tensor
    whitening: Tensor

    def __init__(self, frames: int, channels: int, size: int, degree: int) -> None:
        super().__init__()
        x = (torch.arange(size) + 0.5) / size * 2 - 1
        along = legendre(x, degree)
        pairs = [(a, n - a) for n in range(degree + 1) for a in range(n + 1)]
        functions = [torch.outer(along[a], along[b]) for a, b in pairs]
        self.register_buffer("functions", torch.stack(functions))
        self.values = frames * channels * len(functions)
        self.products = frames * channels * len(self.NEIGHBOURS) * 3
        self.size = self.values + self.products
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("whitening", torch.eye(self.size))

    def raw(self, frames: Float[Tensor, "batch stacked height width"]) -> Tensor:
        """The moments themselves, (batch, size), those of products last."""
        images = frames.float().movedim(1, 3)  # as they lie in memory
        functions = self.functions.flatten(1)
        found = [(functions @ images.flatten(1, 2)).mT.flatten(1)]
        for y, x in self.NEIGHBOURS:
            product = images * (images.roll((-y, -x), (1, 2)) if x or y else images)
            found.append((functions[:3] @ product.flatten(1, 2)).mT.flatten(1))
        return torch.cat(found, 1)

    def forward(self, frames: Float[Tensor, "batch stacked height width"]) -> Tensor:
        """Whitened moments, (batch, size): mean 0, deviation 1 or less."""
        return (self.raw(frames) - self.mean) @ self.whitening

    def prepare(self, frames: Float[Tensor, "batch stacked height width"]) -> None:
        """Find the principal directions of some windows of the data.

        Arguments:
            frames: Windows as the encoder sees them.
        """
        raw = self.raw(frames).double()
        mean = raw.mean(0)
        first, second = (raw - mean).split([self.values, self.products], 1)
        of_first = self.directions(first)
        said = first @ of_first
        ridge = self.FLOOR * len(raw) * torch.eye(self.values, dtype=raw.dtype, device=raw.device)
        known = torch.linalg.solve(said.T @ said + ridge, said.T @ second)
        of_second = self.CORRECTION * self.directions(second - said @ known)
        self.mean.copy_(mean)
        self.whitening.zero_()
        self.whitening[: self.values, : self.values] = of_first
        self.whitening[self.values :, self.values :] = of_second
        self.whitening[: self.values, self.values :] = -of_first @ known @ of_second

    def directions(self, x: Tensor) -> Tensor:
        """Principal directions of rows with mean 0, each over its deviation."""
        variance, directions = torch.linalg.eigh(x.T @ x / len(x))
        return directions / (variance.clamp(min=0) + self.FLOOR * variance[-1] + 1e-12).sqrt()


def legendre(x: Float[Tensor, " n"], degree: int) -> list[Tensor]:
    """Legendre polynomials P_0 … P_degree at x.

    Example:
        >>> legendre(torch.tensor([0.5]), 2)
        [tensor([1.]), tensor([0.5000]), tensor([-0.1250])]
    """
    values = [torch.ones_like(x), x]
    for k in range(1, degree):
        values.append(((2 * k + 1) * x * values[k] - k * values[k - 1]) / (k + 1))
    return values[: degree + 1]


def _start_log_sigma(layer: nn.Linear | Convolution, latent: int, log_sigma: float) -> None:
    """Start with the same narrow posterior everywhere.

    A wide one hides the mean behind noise until the decoder has learned to ignore z, and the
    training sits at the average image.
    """
    with torch.no_grad():
        layer.weight[latent:] *= 0.1
        if layer.bias is not None:
            layer.bias[latent:] = log_sigma


def map_transform(latent: int, state: int, size: int, width: int = 64) -> nn.Sequential:
    """f_ψ of the paper: five convolutions with ReLU between, from maps of z to those of s."""
    widths = [latent, width, width, width, width, state]
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [Convolution(a, b, 3, size=size), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def vector_transform(latent: int, state: int, width: int = 128) -> nn.Sequential:
    """f_ψ for vectors: three linear layers with ReLU between."""
    return nn.Sequential(
        linear(latent, width), nn.ReLU(), linear(width, width), nn.ReLU(), linear(width, state)
    )
