"""GECO: reconstruct to a given error, and spend what is left on the prior.

The error C = MSE − κ should be at most 0. Its multiplier λ = softplus(v) is learned with the
networks: they descend λ C + KL / N, v ascends λ C_ma, where C_ma ← α C_ma + (1 − α) C is a moving
average and N the number of values in a rollout's pixels. So λ grows while the error is above κ and
falls below it.

Reference: Rezende and Viola (2018), "Taming VAEs"; the scaling by N and κ = 0.001 are those of
Toth et al. (2019), "Hamiltonian Generative Networks".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from physim.errors import PhysimError


class Geco(nn.Module):
    """The constraint and its multiplier.

    Arguments:
        kappa: Mean squared error a value, with pixels from 0 to 1, that is good enough.
        alpha: Memory of the moving average, from 0 (none) to below 1.
        multiplier: λ at the start.
    """

    average: Tensor
    seen: Tensor

    def __init__(self, kappa: float, alpha: float = 0.0, multiplier: float = 1.0) -> None:
        super().__init__()
        if not 0 <= alpha < 1:
            raise PhysimError(f"alpha: got {alpha}, expected a number from 0 to below 1")
        if multiplier <= 0:
            raise PhysimError(f"multiplier: got {multiplier}, expected a number above 0")
        self.kappa = kappa
        self.alpha = alpha
        # the inverse of softplus, written so that it does not overflow
        start = multiplier + math.log(-math.expm1(-multiplier))
        self.variable = nn.Parameter(torch.tensor(start))
        self.register_buffer("average", torch.zeros(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.bool))

    @property
    def multiplier(self) -> Tensor:
        """λ."""
        return functional.softplus(self.variable)

    def forward(self, error: Tensor, divergence: Tensor) -> Tensor:
        """The loss, whose gradients are descent for the networks and ascent for λ.

        Arguments:
            error: Mean squared error of the batch, a scalar.
            divergence: KL / N of the batch, a scalar.

        Returns:
            A scalar. Its value is λ C + KL / N − λ C_ma; only its gradients matter.
        """
        constraint = error - self.kappa
        now = constraint.detach()
        if self.alpha and self.training:
            now = over_processes(now)
        average = torch.where(self.seen, self.alpha * self.average + (1 - self.alpha) * now, now)
        if self.training:
            self.average.copy_(average)
            self.seen.fill_(True)
        multiplier = self.multiplier
        return multiplier.detach() * constraint + divergence - multiplier * average


def over_processes(number: Tensor) -> Tensor:
    """The mean of a number over the processes that share a batch, so that all remember the same.

    Without a memory it makes no difference, as the gradients of λ are averaged.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return number
    total = number.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
