"""The contract of a model: what the training loop, the checkpoints and the commands know of it.

A model is an `nn.Module` made from a frozen dataclass of settings. Its forward pass is the loss: a
pure function of weights, batch and random draws, so that it can be compiled, captured, repeated
and tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


class Model(Protocol):
    """What every model offers.

    Attributes:
        inputs: Names of the arrays of a data set that a batch holds.
        settings: The dataclass that it was made from.
    """

    inputs: tuple[str, ...]
    settings: Any

    def prepare(self, example: Mapping[str, Tensor]) -> None:
        """Look at some training data before the first step, to start biases where the data is."""
        ...

    def draws(self, batch_size: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The random numbers of one step, on the generator's device."""
        ...

    def __call__(
        self, batch: Mapping[str, Tensor], draws: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Scalars of a step: `loss`, to be differentiated, and what else is worth a curve."""
        ...


@dataclass(frozen=True)
class Kind:
    """A line of the list of models.

    Attributes:
        name: As on the command line.
        settings: Dataclass of settings.
        build: From settings to a model.
        paper: Where it was published.
    """

    name: str
    settings: type
    build: Callable[[Any], torch.nn.Module]
    paper: str
