"""Densities of points in the plane, with their exact log-density: what flows are evaluated on.

| density | description |
| --- | --- |
| circle | eight Gaussians on a circle |
| grid | twenty-five Gaussians on a square grid |
| random | twelve Gaussians at random places |
| moons | two interleaved half circles |
| spirals | two arms of a spiral |
| rings | four concentric rings |
| checkerboard | eight squares, uniform inside |

All but the last are mixtures of round Gaussians of one deviation and equal weights. Along a curve
the centres stand closer than a deviation, so that they cannot be told apart (the ripple of a row
of Gaussians falls as exp(−2π² (deviation / distance)²)), and the log-density is a finite sum.
Places and widths follow the toy data that is usual for flows, such as that of Grathwohl et al.
(2019), "FFJORD".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from physim.errors import PhysimError, unknown


class Density(Protocol):
    """A density in the plane.

    Attributes:
        entropy: Minus the mean of its log-density over itself, in nats.
        extent: Everything that matters lies between ± this, on both axes.
    """

    @property
    def entropy(self) -> float:
        """Minus the mean of its log-density over itself, in nats."""
        ...

    @property
    def extent(self) -> float:
        """Everything that matters lies between ± this, on both axes."""
        ...

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-densities, (n,), of points, (n, 2)."""
        ...

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """New points, (n, 2), float64."""
        ...


@dataclass(frozen=True, eq=False)
class Mixture:
    """Round Gaussians of equal weight.

    Attributes:
        centres: (components, 2), float64.
        deviation: Of each, along each axis.
    """

    centres: Tensor
    deviation: float

    @cached_property
    def extent(self) -> float:
        """Eight deviations beyond the outermost centre."""
        return float(self.centres.abs().max()) + 8 * self.deviation

    @cached_property
    def entropy(self) -> float:
        """In nats, by the sum over a grid of half a deviation.

        Such a sum over a smooth function that vanishes outside is exact far beyond what is shown.
        """
        step = self.deviation / 2
        axis = torch.arange(-self.extent, self.extent, step, dtype=torch.float64)
        log_density = self.log_prob(torch.cartesian_prod(axis, axis))
        return float(-(log_density.exp() * log_density).sum() * step**2)

    def log_prob(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """Log-densities.

        Arguments:
            x: Points.

        Returns:
            In nats.
        """
        variance = self.deviation**2
        centres = self.centres.to(x)
        parts = [
            torch.logsumexp(-torch.cdist(some, centres).square() / (2 * variance), 1)
            for some in x.split(4096)
        ]
        return torch.cat(parts) - math.log(2 * math.pi * variance * len(centres))

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, "n 2"]:
        """New points.

        Arguments:
            n: How many.
            generator: Where randomness comes from.

        Returns:
            Points, float64.
        """
        chosen = torch.randint(len(self.centres), (n,), generator=generator)
        noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
        return self.centres[chosen] + self.deviation * noise


@dataclass(frozen=True)
class Checkerboard:
    """Half the squares of a board, uniform inside.

    Attributes:
        squares: Along a side, an even number.
        side: Of a square.
    """

    squares: int = 4
    side: float = 2.0

    @property
    def extent(self) -> float:
        """The edge of the board."""
        return self.squares * self.side / 2

    @property
    def entropy(self) -> float:
        """The logarithm of the area, in nats."""
        return math.log(self.squares**2 / 2 * self.side**2)

    def log_prob(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """Minus the entropy on the squares, −∞ elsewhere.

        Arguments:
            x: Points.

        Returns:
            In nats.
        """
        square = torch.floor((x + self.extent) / self.side)
        inside = (square >= 0).all(1) & (square < self.squares).all(1) & (square.sum(1) % 2 == 0)
        return torch.where(inside, -self.entropy, -math.inf).to(x)

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, "n 2"]:
        """New points.

        Arguments:
            n: How many.
            generator: Where randomness comes from.

        Returns:
            Points, float64.
        """
        row = torch.randint(self.squares, (n,), generator=generator)
        half = torch.randint(self.squares // 2, (n,), generator=generator)
        square = torch.stack([2 * half + row % 2, row], 1)
        within = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        return (square + within) * self.side - self.extent


def _turns(n: int) -> Tensor:
    """Angles around the circle."""
    return 2 * math.pi * torch.arange(n, dtype=torch.float64) / n


def _polar(radius: Tensor | float, angle: Tensor) -> Tensor:
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1)


def _circle() -> Density:
    return Mixture(_polar(4 / math.sqrt(2), _turns(8)), 0.5 / math.sqrt(2))


def _grid() -> Density:
    axis = torch.linspace(-4, 4, 5, dtype=torch.float64)
    return Mixture(torch.cartesian_prod(axis, axis), 0.25)


def _random() -> Density:
    generator = torch.Generator().manual_seed(8)
    centres = 8 * torch.rand(12, 2, generator=generator, dtype=torch.float64) - 4
    return Mixture(centres, 0.35)


def _moons() -> Density:
    angle = math.pi * (torch.arange(256, dtype=torch.float64) + 0.5) / 256
    upper = _polar(2.0, angle) - torch.tensor([1.0, 0.5], dtype=torch.float64)
    return Mixture(torch.cat([upper, -upper]), 0.2)


def _spirals() -> Density:
    angle = 3 * math.pi * ((torch.arange(512, dtype=torch.float64) + 0.5) / 512).sqrt()
    arm = _polar(angle / 3, angle)
    return Mixture(torch.cat([arm, -arm]), 0.1)


def _rings() -> Density:
    return Mixture(
        torch.cat([_polar(radius, _turns(256)) for radius in (0.75, 1.5, 2.25, 3)]), 0.08
    )


DENSITIES: dict[str, Callable[[], Density]] = {
    "circle": _circle,
    "grid": _grid,
    "random": _random,
    "moons": _moons,
    "spirals": _spirals,
    "rings": _rings,
    "checkerboard": Checkerboard,
}
"""Each by its name, made when it is asked for."""


def find(name: str) -> Density:
    """The density of that name.

    Arguments:
        name: One of `DENSITIES`.

    Returns:
        The density.

    Raises:
        PhysimError: There is none of that name.

    Example:
        >>> round(find("checkerboard").entropy, 4)
        3.4657
    """
    if name not in DENSITIES:
        raise PhysimError(unknown("target", name, DENSITIES))
    return DENSITIES[name]()
