"""Hamiltonian Neural Network, and its baseline: from measured states to their motion.

    hnn    H(q, p) is one network, dq/dt = ∂H/∂p and dp/dt = −∂H/∂q its motion
    mlp    (dq/dt, dp/dt) = f(q, p) is one network

and the loss is the mean squared error of these against measured derivatives. Nothing is integrated
in training. Whatever its weights, the motion of an HNN keeps its H and the volume of phase space:
the field has no divergence. Nothing keeps that of the baseline where it started.

Reference: Greydanus, Dzamba and Yosinski (2019), "Hamiltonian Neural Networks".
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hgn_train import activations
from hgn_train.activations import SMOOTH
from hgn_train.hamiltonian import Joint, mlp_energy
from hgn_train.layers import linear, start_orthogonal
from hgn_train.scores import Scores
from hgn_train.states import NAMES, derivative_error
from physim.errors import PhysimError


@dataclass(frozen=True)
class StateSettings:
    """What makes one network of states different from another; the defaults are the paper's.

    Attributes:
        dimension: Positions of the system, and as many momenta.
        hidden: Widths of the hidden layers.
        activation: Smooth activation of the hidden layers.
        noisy: Whether it is shown the noisy states, where the data holds any; the derivatives that
            it is to find are always those of the true states.
    """

    dimension: int = 1
    hidden: tuple[int, ...] = (200, 200)
    activation: str = "tanh"
    noisy: bool = True

    def __post_init__(self) -> None:
        """Refuse what makes no model.

        Raises:
            PhysimError: Names the setting, its value and what is allowed.
        """
        if self.dimension < 1:
            raise PhysimError(f"dimension: got {self.dimension}, expected a whole number from 1")
        if not self.hidden or min(self.hidden) < 1:
            raise PhysimError(f"hidden: got {list(self.hidden)}, expected widths from 1")
        activations.check(self.activation)


class Canonical(nn.Module):
    """The motion along a Hamiltonian.

    Arguments:
        hamiltonian: H(q, p).
    """

    def __init__(self, hamiltonian: Joint) -> None:
        super().__init__()
        self.hamiltonian = hamiltonian

    def forward(self, q: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """dq/dt = ∂H/∂p and dp/dt = −∂H/∂q, (batch, d) each."""
        dq, dp = self.hamiltonian.gradients(q, p)
        return dp, -dq


class Plain(nn.Module):
    """The motion as a network of its own, which knows no energy.

    Arguments:
        dimension: Positions, and as many momenta.
        hidden: Widths of the hidden layers.
        activation: One of `SMOOTH`.
    """

    def __init__(self, dimension: int, hidden: tuple[int, ...], activation: str) -> None:
        super().__init__()
        sizes = itertools.pairwise([2 * dimension, *hidden, 2 * dimension])
        self.layers: Any = nn.ModuleList([linear(a, b) for a, b in sizes])
        self.activation, _ = SMOOTH[activation]

    def forward(self, q: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """dq/dt and dp/dt, (batch, d) each."""
        x = torch.cat([q, p], 1)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        dq_dt, dp_dt = self.layers[-1](x).chunk(2, 1)
        return dq_dt, dp_dt


class StateModel(nn.Module):
    """A network of states that learns their derivatives; made by `build_hnn` and `build_mlp`.

    Arguments:
        settings: What it is made of.
        motion: From q and p to dq/dt and dp/dt.
    """

    inputs = NAMES

    def __init__(self, settings: StateSettings, motion: Canonical | Plain) -> None:
        super().__init__()
        self.settings = settings
        self.motion = motion
        start_orthogonal(self)

    def prepare(self, example: Mapping[str, Tensor]) -> None:
        """Nothing: states are taken as they are."""

    def draws(self, batch_size: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Nothing is drawn."""
        return {}

    def forward(
        self, batch: Mapping[str, Tensor], draws: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Loss of a batch: the mean squared error of its derivatives."""
        return {"loss": derivative_error(self.motion, batch).mean()}

    def score(self, rows: Mapping[str, Tensor]) -> Scores:
        """Errors of the derivatives of held-out states."""
        return Scores(derivative_error(self.motion, rows))


def build_hnn(settings: StateSettings) -> StateModel:
    """A learned Hamiltonian."""
    energy = mlp_energy(2 * settings.dimension, settings.hidden, settings.activation)
    return StateModel(settings, Canonical(Joint(energy)))


def build_mlp(settings: StateSettings) -> StateModel:
    """Its baseline: the same layers, but for the last, predict the derivatives."""
    return StateModel(settings, Plain(settings.dimension, settings.hidden, settings.activation))
