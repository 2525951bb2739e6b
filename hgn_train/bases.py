"""Base densities of a flow: where its samples start.

Both are the same in every direction of the axes: independent numbers of one density.

    gaussian       N(0, 1)
    soft-uniform   σ(β (x + a)) σ(β (a − x)) (1 − e^(−2aβ)) / 2a: flat between ± a, soft edges

where σ is the logistic function. The normalisation and the quantile function of the second are
closed forms: with c = aβ, σ(u + c) σ(c − u) = e^c / (2 (cosh u + cosh c)), whose integral up to u
is the logarithm of (1 + e^(u + c)) / (1 + e^(u − c)), up to a factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from physim.errors import PhysimError, unknown


class Base(Protocol):
    """A density of independent numbers."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-densities, summed over the last axis."""
        ...

    def sample(
        self, shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype
    ) -> Tensor:
        """Numbers of that shape, on the generator's device."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """N(0, 1)."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-densities, summed over the last axis."""
        return -(x.square() + math.log(2 * math.pi)).sum(-1) / 2

    def sample(
        self, shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype
    ) -> Tensor:
        """Numbers of that shape, on the generator's device."""
        return torch.randn(shape, generator=generator, device=generator.device, dtype=dtype)


@dataclass(frozen=True)
class SoftUniform:
    """Flat between ± `half_width`, with logistic edges.

    Attributes:
        half_width: a, where the density is half as high as inside; √3 gives the variance 1 where
            edges are sharp.
        sharpness: β; an edge is about 4 / β wide.
    """

    half_width: float = math.sqrt(3)
    sharpness: float = 10.0

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-densities, summed over the last axis."""
        a, beta = self.half_width, self.sharpness
        edges = functional.logsigmoid(beta * (x + a)) + functional.logsigmoid(beta * (a - x))
        return (edges + math.log(-math.expm1(-2 * a * beta) / (2 * a))).sum(-1)

    def sample(
        self, shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype
    ) -> Tensor:
        """Numbers of that shape, on the generator's device."""
        c = self.half_width * self.sharpness
        share = torch.rand(shape, generator=generator, device=generator.device, dtype=dtype)
        share = share.clamp(torch.finfo(dtype).eps, 1 - torch.finfo(dtype).eps)
        # log(e^x − 1) = x + log(1 − e^−x), which does not overflow
        rise = 2 * c * share + torch.log(-torch.expm1(-2 * c * share))
        fall = torch.log(-torch.expm1(-2 * c * (1 - share)))
        return (rise - fall - c) / self.sharpness


BASES: dict[str, Base] = {"gaussian": Gaussian(), "soft-uniform": SoftUniform()}


def find(name: str) -> Base:
    """The base density of that name.

    Arguments:
        name: One of `BASES`.

    Returns:
        The density.

    Raises:
        PhysimError: There is none of that name.

    Example:
        >>> round(find("gaussian").log_prob(torch.zeros(2)).item(), 4)
        -1.8379
    """
    if name not in BASES:
        raise PhysimError(unknown("base", name, BASES))
    return BASES[name]
