"""Convolutions with the paddings and the start of the authors' framework.

"same" with an even total of padding pads both sides alike; with an odd one the extra pixel goes to
the end (right and bottom). With stride 2 and kernel 3 on an even size that is one pixel at the end
only, where PyTorch's `padding=1` would shift the picture by one pixel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hgn_train import convolution
from hgn_train.gpu import pointwise


def start_weights(layer: nn.Linear | nn.Conv2d) -> None:
    """Start a layer as the authors' framework does: truncated normal of 1/√fan_in, bias 0.

    Arguments:
        layer: What to change.
    """
    deviation = 1 / math.sqrt(layer.weight[0].numel())
    nn.init.trunc_normal_(layer.weight, 0.0, deviation, -2 * deviation, 2 * deviation)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A fully connected layer, started by `start_weights`."""
    layer = nn.Linear(inputs, outputs)
    start_weights(layer)
    return layer


def start_orthogonal(network: nn.Module) -> None:
    """Start all linear layers of a network with orthogonal weights, and biases of 0.

    Arguments:
        network: What to change.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Convolution(nn.Conv2d):
    """A convolution of square maps, padded by rule.

    Arguments:
        inputs: Channels.
        outputs: Channels.
        kernel: Width of the kernel.
        stride: Step between outputs.
        same: Whether an input of n pixels gives ⌈n / stride⌉; else only full windows count.
        size: Pixels of the input a side.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        same: bool = True,
        size: int = 0,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride)
        total = 0
        if same:
            total = max(0, kernel - (stride if size % stride == 0 else size % stride))
        self.pad = (total // 2, total - total // 2)
        self.size_in = size
        self.size_out = (size + total - kernel) // stride + 1
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The maps after the convolution."""
        return self.convolved(x, self.bias)

    def convolved(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The same with another bias, or none."""
        first, last = self.pad
        if first == last:
            return functional.conv2d(x, self.weight, bias, self.stride, first)
        x = functional.pad(x, (first, last, first, last))
        return functional.conv2d(x, self.weight, bias, self.stride)

    def leaky(self, x: Tensor, slope: float = 1.0) -> Tensor:
        """The maps after the convolution and a leaky ReLU, in fewer operations where that can be.

        Arguments:
            x: Maps, (batch, channel, height, width).
            slope: Of the leaky ReLU below zero; 1 for none.
        """
        usual = (self.kernel_size[0], self.stride[0], *self.pad) == (3, 1, 1, 1)
        if usual and self.bias is not None and convolution.suits(x):
            return convolution.leaky(x, self.weight, self.bias, slope)
        if self.bias is not None and pointwise.suits(x, self.out_channels):
            return pointwise.leaky(self.convolved(x, None), self.bias, slope)
        return convolution.leaky_relu(self(x), slope)

    def matrix(self) -> Tensor:
        """The convolution without its bias as a matrix of flattened maps, (outputs, inputs)."""
        device = self.weight.device
        starts = self.stride[0] * torch.arange(self.size_out, device=device) - self.pad[0]
        seen = starts[:, None] + torch.arange(self.kernel_size[0], device=device)
        # (output, kernel, input): 1 where a place of the kernel meets a place of the input
        place = seen[:, :, None] == torch.arange(self.size_in, device=device)
        place = place.to(self.weight.dtype)
        placed = torch.einsum("ocyx,ayi,bxj->oabcij", self.weight, place, place)
        return placed.flatten(3).flatten(0, 2)

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """The gradient with respect to the input, from the one with respect to the output."""
        first, last = self.pad
        full = functional.conv_transpose2d(gradient, self.weight, None, self.stride)
        missing = self.size_in + first + last - full.shape[-1]
        if missing > 0:
            full = functional.pad(full, (0, missing, 0, missing))
        return full[..., first : first + self.size_in, first : first + self.size_in]


class UpsamplingConvolution(nn.Conv2d):
    """Nearest upsampling by 2, then a convolution with kernel 3, as one transposed convolution.

    An output meets 2×2 different inputs, some of them through several weights. Adding these first
    leaves four products of nine, and the upsampled maps are never made.

    Arguments:
        inputs: Channels.
        outputs: Channels.
    """

    spread: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)
        # On one side: which of three weights meet in each of four places of the transposed kernel.
        side = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
        self.register_buffer("spread", torch.kron(side, side), persistent=False)
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The maps after the convolution, twice as large."""
        return self.convolved(x, self.bias)

    def convolved(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The same with another bias, or none."""
        with torch.autocast(x.device.type, enabled=False):  # add first, round afterwards
            kernel = (self.weight.flatten(2) @ self.spread.T).unflatten(2, (4, 4)).transpose(0, 1)
        y = functional.conv_transpose2d(x, kernel, None, 2, 1)
        if bias is None:
            return y
        # Given the bias, the library would sum its gradient in several times the time of the rest.
        return y.add_(bias.to(y.dtype)[:, None, None])

    def leaky(self, x: Tensor, slope: float = 1.0) -> Tensor:
        """The same and a leaky ReLU, as `Convolution.leaky`."""
        if self.bias is not None and convolution.suits(x, 2):
            return convolution.leaky(x, self.weight, self.bias, slope, 2)
        if self.bias is not None and pointwise.suits(x, self.out_channels):
            return pointwise.leaky(self.convolved(x, None), self.bias, slope)
        return convolution.leaky_relu(self(x), slope)
