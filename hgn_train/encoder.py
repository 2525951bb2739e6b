"""Encoders: from the first frames to a Gaussian over z, and from z to the state s = (q, p).

The frames are stacked on the channel axis, frame 0 red, green, blue, frame 1 red, … A posterior is
a diagonal Gaussian given by its mean and the logarithm of its standard deviation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hgn_train.layers import Convolution, linear


class MapEncoder(nn.Module):
    """Frames to maps of a quarter of a quarter of the pixels: the encoder of the paper's authors.

    Each block is a convolution with kernel 2 and stride 2, then one with kernel 4, ReLU after each
    but the last.

    Arguments:
        channels: Channels of the stacked frames.
        size: Pixels a side.
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
        size: Pixels a side.
        blocks: Widths of the convolutions of each block.
        latent: Numbers in z.
        log_sigma: log σ at the start.
        frames: How many frames are stacked.
        moments: Linear functions of a frame's pixels, the same of every frame, that the last
            layer sees besides; 0 for none.
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
        self.frames = frames
        self.moments = None
        if moments:
            self.moments = linear(channels // frames * size * size, moments)
        layers = []
        for block in blocks:
            for index, width in enumerate(block):
                layer = Convolution(channels, width, 3, 2 if index == 0 else 1, size=size)
                layers.append(layer)
                channels, size = width, layer.size_out
        self.layers = nn.ModuleList(layers)
        self.head = linear(channels * size * size + frames * moments, 2 * latent)
        self.size = 0
        _start_log_sigma(self.head, latent, log_sigma)

    def forward(
        self, frames: Float[Tensor, "batch stacked height width"]
    ) -> tuple[Tensor, Tensor]:
        """Mean and log σ of z, each (batch, latent)."""
        x = frames
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x))
        features = x.flatten(1)
        if self.moments is not None:
            each = frames.unflatten(1, (self.frames, -1)).flatten(2)
            features = torch.cat([features, self.moments(each).flatten(1)], 1)
        mean, log_sigma = self.head(features).float().chunk(2, 1)
        return mean, log_sigma


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
