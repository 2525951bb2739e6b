"""States as what a model is trained on: q, p and their time derivatives, one row per frame.

Where a data set holds observation noise, its recipe's `noise`, a model may be shown the noisy
states that were drawn, `q_drawn` and `p_drawn`. The derivatives are always those of the true
states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hgn_train import data
from hgn_train.data import Source
from hgn_train.rows import Rows
from physim.errors import PhysimError

if TYPE_CHECKING:
    from hgn_train.models import model

NAMES = ("q", "p", "dq_dt", "dp_dt")

Derivatives = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From q and p, (batch, d), to dq/dt and dp/dt."""


@dataclass(frozen=True)
class States:
    """Frames of a data set as states, and the mean derivative as reference.

    Attributes:
        source: The data set.
        noisy: Whether q and p are the noisy ones, where the data set has any.
    """

    source: Source
    noisy: bool

    @property
    def system(self) -> str:
        """Name of the system."""
        return self.source.system

    @property
    def fingerprint(self) -> str:
        """Of the data set."""
        return self.source.fingerprint

    @property
    def collapse(self) -> str:
        """What a model does that has not learned."""
        return "every state moves in the same way"

    def train(
        self,
        names: Sequence[str],
        device: torch.device,
        batch_size: int,
        seed: int,
        n: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> Rows:
        """States of the first `n` trajectories of the training split, 0 for all."""
        available = len(self.source.dataset.train)
        if n > available:
            raise PhysimError(
                f"trajectories: got {n}, expected at most the {available} of the split, "
                "or 0 for all"
            )
        arrays = self.arrays("train", n or available)
        return Rows(arrays, device, batch_size, seed, 0, rank, world_size)

    def held_out(self, names: Sequence[str], device: torch.device, seed: int, n: int = 0) -> Rows:
        """States of the last `n` trajectories of the test split, 0 for all."""
        available = len(self.source.dataset.test)
        left_out = available - min(n or available, available)
        arrays = {
            name: array[left_out * (len(array) // available) :]
            for name, array in self.arrays("test", available).items()
        }
        return Rows(arrays, device, 1, seed)

    def arrays(self, split: str, n: int) -> dict[str, Tensor]:
        """`NAMES` of the first `n` trajectories, (n · frames, d) each, float32."""
        found = states(self.source, split, n, self.noisy)
        return {
            name: torch.from_numpy(
                np.ascontiguousarray(array.reshape(-1, array.shape[-1]))
            ).float()
            for name, array in found.items()
        }

    @torch.no_grad()
    def reference(self, train: model.Batches, held_out: model.Batches) -> float:
        """Error on held-out states of the mean derivative of training states."""
        known, asked = (part.rows(torch.arange(part.n)) for part in (train, held_out))
        errors = [((asked[name] - known[name].mean(0)) ** 2).mean() for name in NAMES[2:]]
        return float(torch.stack(errors).mean())


def states(source: Source, split: str, n: int, noisy: bool) -> dict[str, np.ndarray]:
    """`NAMES` of the first trajectories of a split.

    Arguments:
        source: The data set.
        split: Name of the split.
        n: How many trajectories.
        noisy: Whether q and p are the noisy ones, where the data set has any.

    Returns:
        (n, frames, d) each, float64.
    """
    arrays = source.dataset.splits[split]
    ending = "_drawn" if noisy and "q_drawn" in arrays.names else ""
    found = {name: np.asarray(getattr(arrays, f"{name}{ending}")[:n]) for name in ("q", "p")}
    return found | source.dataset.derivatives(split, slice(0, n))


def open_states(folder: str, network: Any) -> States:
    """Open a data set for a model of states.

    Arguments:
        folder: Where it was rendered to.
        network: Settings of the model, with `dimension` and `noisy`.

    Returns:
        The material.

    Raises:
        PhysimError: There is none, it holds no states, or states of another size.
    """
    source = data.open_source(folder)
    dimension = source.dataset.train.q.shape[-1]
    if dimension != network.dimension:
        raise PhysimError(
            f"{folder}: has {dimension} positions, but the model is made for {network.dimension}"
        )
    return States(source, network.noisy)


def adapt(network: dict[str, Any], folder: str) -> str:
    """Take the number of positions from the data where it is not given.

    Arguments:
        network: Settings of the model, changed in place.
        folder: Folder of the data set.

    Returns:
        Name of the data's system.

    Raises:
        PhysimError: There is no data set, or it is damaged.
    """
    source = data.open_source(folder)
    network.setdefault("dimension", int(source.dataset.train.q.shape[-1]))
    return source.system


def derivative_error(
    derivatives: Derivatives, rows: Mapping[str, Tensor]
) -> Float[Tensor, " batch"]:
    """Squared error of learned derivatives, the mean over coordinates.

    Arguments:
        derivatives: Of the model.
        rows: `NAMES`, (batch, d) each.

    Returns:
        One number per row.
    """
    dq_dt, dp_dt = derivatives(rows["q"], rows["p"])
    apart = torch.cat([dq_dt - rows["dq_dt"], dp_dt - rows["dp_dt"]], 1)
    return (apart**2).mean(1)
