"""Decoders: from positions q alone to a frame.

Three times nearest upsampling by 2, each followed by convolutions with kernel 3, then a sigmoid;
two learned constant maps are put in front of the first, so that the network knows where it draws.
Momenta do not reach the decoder: what moves must be in q, and how it moves in p.
"""

# ruff: noqa: UP037 - shapes are strings
from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from hgn_train.layers import Convolution, UpsamplingConvolution, linear
from physim.errors import PhysimError

CONSTANT_MAPS = 2


def start_size(resolution: int, blocks: Sequence[Sequence[int]], shuffle: int) -> int:
    """Side in pixels of the maps that become frames.

    Arguments:
        resolution: Pixels of a frame a side.
        blocks: Widths of the decoder's blocks, each of which doubles the side.
        shuffle: By how much the last convolution grows it.

    Raises:
        PhysimError: No such maps, or a block without a convolution.
    """
    if not all(blocks):
        raise PhysimError("decoder: got a block without widths, expected at least one in each")
    if resolution % (growth := shuffle * 2 ** len(blocks)):
        raise PhysimError(
            f"resolution: got {resolution}, expected a multiple of {growth}, by which "
            "the decoder grows its maps"
        )
    return resolution // growth


class Decoder(nn.Module):
    """Positions to frames.

    Arguments:
        state: Channels of q, or numbers in q where `maps` is given.
        size: Side in pixels of the maps that are upsampled.
        blocks: Widths of the convolutions of each block; a block starts with upsampling.
        channels: Channels of a frame.
        slope: Slope of the leaky ReLU below zero.
        maps: Channels of the maps that a vector q is first projected to; 0 if q is maps already.
        shuffle: Side of the block that the last convolution makes of each of its pixels, by
            rearranging channels: 2 avoids convolutions at full size, 1 is the paper's.
    """

    def __init__(
        self,
        state: int,
        size: int,
        blocks: Sequence[Sequence[int]],
        channels: int = 3,
        slope: float = 0.2,
        maps: int = 0,
        shuffle: int = 1,
    ) -> None:
        super().__init__()
        self.size = size
        self.slope = slope
        self.project = linear(state, maps * size * size) if maps else None
        width = (maps or state) + CONSTANT_MAPS
        self.constant = nn.Parameter(torch.ones(1, CONSTANT_MAPS, size, size))
        self.blocks: Any = nn.ModuleList()
        for block in blocks:
            size *= 2
            layers: list[nn.Module] = [UpsamplingConvolution(width, block[0])]
            layers += [Convolution(*widths, 3, size=size) for widths in pairwise(block)]
            self.blocks.append(nn.ModuleList(layers))
            width = block[-1]
        self.out = Convolution(width, channels * shuffle**2, 3, size=size)
        self.shuffle = shuffle

    def start_at(self, colour: Float[Tensor, " channels"]) -> None:
        """Start with frames of one colour.

        Arguments:
            colour: The mean colour of the data, from 0 to 1.
        """
        with torch.no_grad():
            colours = colour.to(self.out.weight).repeat_interleave(self.shuffle**2)
            self.out.bias.copy_(torch.logit(colours, eps=1e-3))  # type: ignore[union-attr]
            self.out.weight *= 0.1

    def forward(
        self, q: Float[Tensor, "batch *state"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Frames, from 0 to 1."""
        x = q
        if self.project is not None:
            x = self.project(x).unflatten(1, (-1, self.size, self.size))
        constant = self.constant.to(x.dtype).expand(len(x), -1, -1, -1)
        x = torch.cat([constant, x], 1).contiguous(memory_format=torch.channels_last)
        for layers in self.blocks:
            for layer in layers:
                x = layer.leaky(x, self.slope)
        x = self.out.leaky(x).float()
        if self.shuffle > 1:
            x = functional.pixel_shuffle(x, self.shuffle)
        return torch.sigmoid(x)
