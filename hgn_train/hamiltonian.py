"""The learned Hamiltonian: a network whose value is an energy and whose gradient is written out.

An energy network is a chain of linear or convolutional layers with a smooth activation a between
them, its outputs summed to one number per trajectory: E(x) = Σ W_L a(W_{L-1} a(… W_1 x)). Its
gradient runs the chain backward, ∂E/∂x = W_1ᵀ(a'(u_1) ∘ W_2ᵀ(a'(u_2) ∘ … W_Lᵀ 1)), where u_i is
what enters activation i. `gradient` is that formula in plain forward operations. So the training
loss, which needs ∂H to be differentiated once more, is an ordinary first derivative for autograd:
no double backward, one graph that can be compiled or captured.

A rollout takes tens of such gradients with the same weights. Convolutions of small maps are slow
at that, so they are unfolded into matrices once a rollout: the same function of flattened maps.
"""

# ruff: noqa: UP037 - shapes are strings
from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from hgn_train import activations
from hgn_train.activations import CURVATURE, SMOOTH
from hgn_train.chain import Chain, kernel_of
from hgn_train.layers import Convolution, linear


class Energy(nn.Module):
    """A scalar function of a state, with its gradient.

    Arguments:
        layers: Linear layers or convolutions; the outputs of the last one are summed.
        activation: One of `SMOOTH`.
        stiffness: Where given, ½ Σ k x² is added, with one k > 0 a channel that starts at these.
    """

    def __init__(
        self,
        layers: Sequence[nn.Linear | Convolution],
        activation: str = "softplus",
        stiffness: Sequence[float] = (),
    ) -> None:
        super().__init__()
        activations.check(activation)
        self.layers: Any = nn.ModuleList(layers)
        if layers[-1].bias is not None:  # a constant added to an energy moves nothing
            layers[-1].bias.requires_grad_(False)
        self.activation = activation
        self.value_of, self.slope_of = SMOOTH[activation]
        self.log_stiffness: nn.Parameter | None = None
        if stiffness:
            self.log_stiffness = nn.Parameter(torch.tensor([math.log(k) for k in stiffness]))

    def forward(self, x: Float[Tensor, "batch *state"]) -> Float[Tensor, " batch"]:
        """Energies."""
        quadratic = (self.forces(x) * x).flatten(1).sum(1) / 2 if self.stiff else 0.0
        for layer in self.layers[:-1]:
            x = self.value_of(layer(x))
        return self.layers[-1](x).flatten(1).sum(1) + quadratic

    @property
    def stiff(self) -> bool:
        """Whether there is a quadratic part."""
        return self.log_stiffness is not None

    def forces(self, x: Tensor) -> Tensor:
        """Gradient of the quadratic part, k x."""
        assert self.log_stiffness is not None  # noqa: S101 - asked only where `stiff`
        return x * self.log_stiffness.exp().reshape(-1, *[1] * (x.ndim - 2))

    def gradient(self, x: Float[Tensor, "batch *state"]) -> Float[Tensor, "batch *state"]:
        """∂E/∂x, built from forward operations."""
        quadratic = self.forces(x) if self.stiff else 0.0
        slopes = []
        for layer in self.layers[:-1]:
            u = layer(x)
            slopes.append(self.slope_of(u))
            x = self.value_of(u)
        last = self.layers[-1]
        if isinstance(last, Convolution):
            ones = torch.ones_like(x[:1, :1, : last.size_out, : last.size_out])
            gradient = last.input_gradient(ones.expand(1, last.out_channels, -1, -1))
        else:
            gradient = last.weight.sum(0).expand_as(x)
        for layer, slope in zip(reversed(self.layers[:-1]), reversed(slopes), strict=True):
            gradient = gradient * slope
            if isinstance(layer, Convolution):
                gradient = layer.input_gradient(gradient)
            else:
                gradient = functional.linear(gradient, layer.weight.T)
        return gradient + quadratic

    def chain(self) -> Chain:
        """Its layers as they are, for flattened states."""
        *hidden, last = self.layers
        if isinstance(last, Convolution):
            ones = torch.ones_like(last.weight[:1, :1, :1, :1])
            ones = ones.expand(1, last.out_channels, last.size_out, last.size_out)
            total = last.input_gradient(ones).flatten()
        else:
            total = last.weight.sum(0)
        stiffness = None
        if self.log_stiffness is not None:
            first: Any = hidden[0] if hidden else last
            pixels = first.size_in**2 if isinstance(first, Convolution) else 1
            stiffness = self.log_stiffness.exp().repeat_interleave(pixels)
        return Chain(self.activation, tuple(map(kernel_of, hidden)), total, stiffness)

    def unfolded(self) -> Unfolded:
        """The same energy of flattened states."""
        layers = [_matrix(layer) for layer in self.layers]
        stiffness = None
        if self.log_stiffness is not None:
            k = self.log_stiffness.exp()
            stiffness = k.repeat_interleave(layers[0][0].shape[1] // len(k))
        return Unfolded(self.activation, layers[:-1], layers[-1][0].sum(0), stiffness)


class Unfolded:
    """An energy of flattened states, (batch, n), with a matrix for each layer.

    It is made of an energy's weights as they are, and differentiable with respect to them.

    Arguments:
        activation: One of `SMOOTH`.
        layers: Weight, (outputs, inputs), and bias of each hidden layer.
        last: Weights of the sum of what the last of these gives.
        stiffness: k of the quadratic part, one per number in the state.
    """

    def __init__(
        self,
        activation: str,
        layers: Sequence[tuple[Tensor, Tensor]],
        last: Tensor,
        stiffness: Tensor | None,
    ) -> None:
        self.activation = activation
        self.value_of, self.slope_of = SMOOTH[activation]
        self.curvature_of = CURVATURE[activation]
        self.layers, self.last, self.stiffness = layers, last, stiffness

    def tensors(self) -> list[Tensor | None]:
        """All that it is made of: weight and bias of each layer, `last`, `stiffness`."""
        return [*(x for layer in self.layers for x in layer), self.last, self.stiffness]

    @classmethod
    def of(cls, activation: str, tensors: Sequence[Tensor]) -> Unfolded:
        """The inverse of `tensors`."""
        *layers, last, stiffness = tensors
        return cls(activation, list(zip(layers[::2], layers[1::2], strict=True)), last, stiffness)

    def gradient(self, x: Float[Tensor, "batch n"]) -> Float[Tensor, "batch n"]:
        """∂E/∂x, as in `Energy`."""
        quadratic = 0.0 if self.stiffness is None else self.stiffness * x
        slopes = []
        for weight, bias in self.layers:
            u = functional.linear(x, weight, bias)
            slopes.append(self.slope_of(u))
            x = self.value_of(u)
        gradient = self.last.expand_as(x)
        for (weight, _), slope in zip(reversed(self.layers), reversed(slopes), strict=True):
            gradient = functional.linear(gradient * slope, weight.T)
        return gradient + quadratic


def _matrix(layer: nn.Linear | Convolution) -> tuple[Tensor, Tensor]:
    """A layer as a matrix, (outputs, inputs), and a bias, both of flattened maps."""
    if not isinstance(layer, Convolution):
        return layer.weight, layer.bias
    assert layer.bias is not None  # noqa: S101 - all convolutions here have one
    return layer.matrix(), layer.bias.repeat_interleave(layer.size_out**2)


def frequencies(n: int) -> list[float]:
    """Where the stiffness of n channels starts: evenly from ¼ to 3.

    With these as k of T and of V, the quadratic parts alone are n oscillators of these angular
    frequencies: in the unit of time of the systems here, from slow to fast.
    """
    return [0.25 + 2.75 * (i + 0.5) / n for i in range(n)]


def mlp_energy(
    size: int,
    widths: Sequence[int],
    activation: str = "softplus",
    stiffness: Sequence[float] = (),
) -> Energy:
    """An energy of a vector.

    Arguments:
        size: Numbers in the vector.
        widths: Widths of the hidden layers.
        activation: One of `SMOOTH`.
        stiffness: As in `Energy`.

    Returns:
        The network.
    """
    sizes = [size, *widths, 1]
    return Energy([linear(a, b) for a, b in itertools.pairwise(sizes)], activation, stiffness)


def convolutional_energy(
    channels: int,
    size: int,
    widths: Sequence[int],
    activation: str = "softplus",
    stiffness: Sequence[float] = (),
) -> Energy:
    """An energy of square maps: kernel 3 first, then pairs of a stride of 2 and a mixing layer.

    With maps of 4×4 and widths 32, 64, 64, 64 these are kernels 3, 2, 2, 2, 2, strides 1, 2, 1, 2,
    1 and paddings same, valid, same, valid, same: the network of Hamiltonian Generative Networks.

    Arguments:
        channels: Channels of the maps.
        size: Side in pixels.
        widths: Channels of the hidden layers.
        activation: One of `SMOOTH`.
        stiffness: As in `Energy`.

    Returns:
        The network.
    """
    layers: list[Convolution] = []
    for index, width in enumerate([*widths, 1]):
        shrink = index % 2 == 1 and size > 1
        kernel = 3 if index == 0 else 2
        layer = Convolution(
            channels, width, kernel, 2 if shrink else 1, same=not shrink, size=size
        )
        layers.append(layer)
        channels, size = width, layer.size_out
    return Energy(layers, activation, stiffness)


class GradientsOfSum:
    """Gradients of H(q, p) = T(p) + V(q), which are those of its parts."""

    is_separable = True
    kinetic: Energy | Unfolded
    potential: Energy | Unfolded

    def dq(self, q: Tensor, p: Tensor) -> Tensor:
        """∂H/∂q = V'(q)."""
        return self.potential.gradient(q)

    def dp(self, q: Tensor, p: Tensor) -> Tensor:
        """∂H/∂p = T'(p)."""
        return self.kinetic.gradient(p)

    def gradients(self, q: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """∂H/∂q and ∂H/∂p."""
        dp = self.dp(q, p)
        return self.dq(q, p), dp


class GradientsAtOnce:
    """Gradients of an H(q, p) that is one energy of both."""

    is_separable = False
    energy: Energy | Unfolded

    def gradients(self, q: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """∂H/∂q and ∂H/∂p."""
        gradient = self.energy.gradient(torch.cat([q, p], 1))
        return gradient[:, : q.shape[1]], gradient[:, q.shape[1] :]

    def dq(self, q: Tensor, p: Tensor) -> Tensor:
        """∂H/∂q."""
        return self.gradients(q, p)[0]

    def dp(self, q: Tensor, p: Tensor) -> Tensor:
        """∂H/∂p."""
        return self.gradients(q, p)[1]


class Separable(GradientsOfSum, nn.Module):
    """H(q, p) = T(p) + V(q).

    Arguments:
        kinetic: T.
        potential: V.
    """

    kinetic: Energy
    potential: Energy

    def __init__(self, kinetic: Energy, potential: Energy) -> None:
        super().__init__()
        self.kinetic = kinetic
        self.potential = potential

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """Energies, (batch,)."""
        return self.kinetic(p) + self.potential(q)

    def chains(self) -> tuple[Chain, Chain]:
        """V and T of flattened states, layer by layer."""
        return self.potential.chain(), self.kinetic.chain()

    def unfolded(self) -> UnfoldedSum:
        """The same of flattened q and p."""
        return UnfoldedSum(self.kinetic.unfolded(), self.potential.unfolded())


class Joint(GradientsAtOnce, nn.Module):
    """H(q, p) as one network of both.

    Arguments:
        energy: A function of q and p, joined along the axis after the batch.
    """

    energy: Energy

    def __init__(self, energy: Energy) -> None:
        super().__init__()
        self.energy = energy

    def forward(self, q: Tensor, p: Tensor) -> Tensor:
        """Energies, (batch,)."""
        return self.energy(torch.cat([q, p], 1))

    def unfolded(self) -> UnfoldedJoint:
        """The same of flattened q and p."""
        return UnfoldedJoint(self.energy.unfolded())


@dataclass(frozen=True)
class UnfoldedSum(GradientsOfSum):
    """What an integrator needs to know of a `Separable` with flattened states."""

    kinetic: Unfolded
    potential: Unfolded


@dataclass(frozen=True)
class UnfoldedJoint(GradientsAtOnce):
    """What an integrator needs to know of a `Joint` with flattened states."""

    energy: Unfolded
