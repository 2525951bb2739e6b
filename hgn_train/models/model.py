"""What the training loop, the checkpoints and the commands know of a model.

A model is an `nn.Module` made from a frozen dataclass of settings. Its forward pass is the loss: a
pure function of weights, batch and random draws, so that it can be compiled, captured, repeated
and tested. What it is trained on is its material: frames, states or points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from hgn_train.scores import Scores


class Model(Protocol):
    """What every model offers.

    Attributes:
        inputs: Names of the arrays that a batch holds.
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

    def score(self, rows: Mapping[str, Tensor]) -> Scores:
        """Errors of held-out rows, by which the best weights are kept."""
        ...


class Batches(Protocol):
    """The rows of one split on a device.

    Attributes:
        n: How many.
    """

    n: int

    def batch(self, step: int) -> dict[str, Tensor]:
        """The rows of an update, determined by its number and a seed."""
        ...

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        """Rows by number."""
        ...


class Material(Protocol):
    """What a model is trained on: opened, and checked to fit."""

    @property
    def system(self) -> str:
        """What it shows, in a word."""
        ...

    @property
    def fingerprint(self) -> str:
        """What changes with any of its numbers, so that a training goes on with the same."""
        ...

    @property
    def collapse(self) -> str:
        """What a model does whose error is that of the reference, as in a sentence."""
        ...

    def train(
        self,
        names: Sequence[str],
        device: torch.device,
        batch_size: int,
        seed: int,
        n: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> Batches:
        """The first `n` rows to train on, 0 for all, of which each process takes its part."""
        ...

    def held_out(
        self, names: Sequence[str], device: torch.device, seed: int, n: int = 0
    ) -> Batches:
        """The last `n` rows not to train on, 0 for all, or as many as there are.

        The weights that a run is judged by are those with the least error here, and it is judged
        by the first rows, so that the two are others where there are enough.
        """
        ...

    def reference(self, train: Batches, held_out: Batches) -> float | None:
        """Error of a model that has learned no more than a mean; None where there is no such."""
        ...


@dataclass(frozen=True)
class Kind:
    """A line of the list of models.

    Attributes:
        name: As on the command line.
        settings: Dataclass of settings.
        build: From settings to a model.
        paper: Where it was published.
        open: From the name of a data set, mostly a folder, and settings to its material; refuses
            what does not fit.
        adapt: Puts what a data set decides, such as dt, into a table of settings where it is not
            given, and returns the name of the system.
        evaluation: Name of the module that evaluates and reports a run; see `evaluation`.
        needs: Settings that have an effect only where others have a value: names, to the others
            with that value, or None for any but 0.
    """

    name: str
    settings: type
    build: Callable[[Any], torch.nn.Module]
    paper: str
    open: Callable[[str, Any], Material]
    adapt: Callable[[dict[str, Any], str], str]
    evaluation: str
    needs: Mapping[tuple[str, ...], Mapping[str, Any]] = field(default_factory=dict)
