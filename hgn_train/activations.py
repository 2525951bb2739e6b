"""Smooth activations of an energy, each with its first two derivatives.

They must be smooth: the derivative of ReLU's derivative is zero, and such a network does not learn
its gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from physim.errors import PhysimError, unknown


def _swish_slope(u: Tensor) -> Tensor:
    gate = torch.sigmoid(u)
    return gate * (1 + u * (1 - gate))


SMOOTH: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "softplus": (functional.softplus, torch.sigmoid),
    "tanh": (torch.tanh, lambda u: 1 - torch.tanh(u) ** 2),
    "swish": (functional.silu, _swish_slope),
}
"""By name, each with its derivative."""


def _softplus_curvature(u: Tensor) -> Tensor:
    slope = torch.sigmoid(u)
    return slope * (1 - slope)


def _tanh_curvature(u: Tensor) -> Tensor:
    value = torch.tanh(u)
    return -2 * value * (1 - value**2)


def _swish_curvature(u: Tensor) -> Tensor:
    gate = torch.sigmoid(u)
    return gate * (1 - gate) * (2 + u * (1 - 2 * gate))


CURVATURE: dict[str, Callable[[Tensor], Tensor]] = {
    "softplus": _softplus_curvature,
    "tanh": _tanh_curvature,
    "swish": _swish_curvature,
}
"""Second derivatives of the activations."""


def check(name: str) -> None:
    """Refuse an activation that there is not.

    Arguments:
        name: One of `SMOOTH`.

    Raises:
        PhysimError: There is none of that name.
    """
    if name not in SMOOTH:
        raise PhysimError(unknown("activation", name, SMOOTH))
