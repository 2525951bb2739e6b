"""An energy as a chain of layers over square maps, which is what kernels of a GPU are made for."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from hgn_train.layers import Convolution


@dataclass(frozen=True)
class Window:
    """How a layer's kernel moves over square maps; a linear layer has maps of one pixel.

    Attributes:
        inputs: Channels before it.
        outputs: Channels behind it.
        kernel: Pixels of the kernel a side.
        stride: Pixels from one output to the next.
        pad: Pixels of zeros before the first.
        side: Pixels of the maps before it, a side.
        after: Pixels of those behind it.
    """

    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    pad: int = 0
    side: int = 1
    after: int = 1

    @property
    def numbers_in(self) -> int:
        """Numbers in all maps before it."""
        return self.inputs * self.side**2

    @property
    def numbers_out(self) -> int:
        """Numbers in all maps behind it."""
        return self.outputs * self.after**2


@dataclass(frozen=True)
class Kernel:
    """A layer as a convolution.

    Attributes:
        window: How it moves.
        weight: (outputs, inputs, kernel, kernel).
        bias: (outputs,).
    """

    window: Window
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Chain:
    """An energy of flattened states with its layers as they are.

    Attributes:
        activation: One of `SMOOTH`.
        kernels: The hidden layers.
        last: Weights of the sum of what the last of these gives, flattened.
        stiffness: k of the quadratic part, one per number in the state.
    """

    activation: str
    kernels: tuple[Kernel, ...]
    last: Tensor
    stiffness: Tensor | None

    def tensors(self) -> list[Tensor | None]:
        """All that it is made of: weight and bias of each layer, `last`, `stiffness`."""
        layers = [x for kernel in self.kernels for x in (kernel.weight, kernel.bias)]
        return [*layers, self.last, self.stiffness]


def kernel_of(layer: nn.Linear | Convolution) -> Kernel:
    """A hidden layer as a convolution."""
    if not isinstance(layer, Convolution):
        window = Window(layer.in_features, layer.out_features)
        return Kernel(window, layer.weight[:, :, None, None], layer.bias)
    assert layer.bias is not None  # noqa: S101 - all convolutions here have one
    window = Window(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size[0],
        layer.stride[0],
        layer.pad[0],
        layer.size_in,
        layer.size_out,
    )
    return Kernel(window, layer.weight, layer.bias)
