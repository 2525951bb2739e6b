"""Autoencoders from stacked frames to a state and back, without noise: those of the pixel HNN.

`Dense` is that of Greydanus et al. (2019): linear layers with ReLU, the second and third hidden
layer added to what enters them, a linear output. `Convolutional` has the encoder and the decoder
of the HGN.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hgn_train.decoder import Decoder, start_size
from hgn_train.encoder import VectorEncoder
from hgn_train.layers import linear, start_orthogonal


class Residual(nn.Module):
    """Four linear layers with ReLU, the middle two of which are added to what enters them.

    Arguments:
        inputs: Numbers in.
        width: Of the three hidden layers.
        outputs: Numbers out.
    """

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = linear(inputs, width), linear(width, width)
        self.third, self.last = linear(width, width), linear(width, outputs)
        start_orthogonal(self)

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """Numbers out."""
        x = torch.relu(self.first(x))
        x = x + torch.relu(self.second(x))
        x = x + torch.relu(self.third(x))
        return self.last(x)


class Dense(nn.Module):
    """Linear layers on all pixels, less the mean colour: the authors' ground is 0.

    Arguments:
        channels: Channels of the stacked frames.
        size: Side in pixels.
        state: Numbers in the state.
        width: Of the hidden layers.
    """

    colour: Tensor

    def __init__(self, channels: int, size: int, state: int, width: int) -> None:
        super().__init__()
        self.register_buffer("colour", torch.zeros(channels, 1, 1))
        self.shape = (channels, size, size)
        self.encoder = Residual(channels * size * size, width, state)
        self.decoder = Residual(state, width, channels * size * size)

    def start_at(self, colour: Float[Tensor, " channels"]) -> None:
        """Look at frames as what differs from one colour."""
        self.colour.copy_(colour[:, None, None])

    def encode(self, frames: Float[Tensor, "batch stacked height width"]) -> Tensor:
        """States, (batch, state)."""
        return self.encoder((frames - self.colour).flatten(1)).float()

    def decode(self, state: Float[Tensor, "batch state"]) -> Tensor:
        """Stacked frames, about from 0 to 1."""
        return self.decoder(state).float().unflatten(1, self.shape) + self.colour


class Convolutional(nn.Module):
    """Convolutions down to the state, and up from it.

    Arguments:
        channels: Channels of the stacked frames.
        size: Side in pixels.
        state: Numbers in the state.
        encoder: Widths of the encoder's blocks.
        decoder: Widths of the decoder's blocks.
        maps: Channels of the maps that the state is projected to.
        shuffle: Side of the block that the last convolution makes of each of its pixels.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        state: int,
        encoder: Sequence[Sequence[int]],
        decoder: Sequence[Sequence[int]],
        maps: int,
        shuffle: int,
    ) -> None:
        super().__init__()
        self.encoder = VectorEncoder(channels, size, encoder, state, 0.0)
        small = start_size(size, decoder, shuffle)
        self.decoder = Decoder(state, small, decoder, channels, 0.01, maps, shuffle)

    def start_at(self, colour: Float[Tensor, " channels"]) -> None:
        """Start with frames of one colour."""
        self.decoder.start_at(colour)

    def encode(self, frames: Float[Tensor, "batch stacked height width"]) -> Tensor:
        """States, (batch, state): the means of what is a Gaussian in the HGN."""
        return self.encoder(frames)[0]

    def decode(self, state: Float[Tensor, "batch state"]) -> Tensor:
        """Stacked frames, from 0 to 1."""
        return self.decoder(state)
