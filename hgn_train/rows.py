"""Batches of rows that are held on the device as a whole: points, or states without frames."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hgn_train.seeds import Purpose, seed_of
from physim.errors import PhysimError


class Rows:
    """Batches in an order determined by the seed, as `data.Batches` of frames.

    Arguments:
        arrays: By name, first axis the row.
        device: Where batches are wanted.
        batch_size: Rows per batch, on this process.
        seed: Seed of the order.
        n: How many rows are used; 0 for all.
        rank: Number of this process.
        world_size: How many processes share a batch.

    Raises:
        PhysimError: More rows are requested than exist.
    """

    def __init__(
        self,
        arrays: Mapping[str, Tensor],
        device: torch.device,
        batch_size: int,
        seed: int,
        n: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        available = len(next(iter(arrays.values())))
        self.n = n or available
        if self.n > available:
            raise PhysimError(
                f"trajectories: got {n}, expected at most the {available} rows to train on, "
                "or 0 for all"
            )
        if self.n < batch_size * world_size:
            raise PhysimError(
                f"batch_size: got {batch_size * world_size}, expected at most {self.n}, "
                "the rows to train on"
            )
        self.arrays = {name: array[: self.n].to(device) for name, array in arrays.items()}
        self.device, self.batch_size, self.seed = device, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.long)

    def batch(self, step: int) -> dict[str, Tensor]:
        """The rows of an update.

        Arguments:
            step: Number of the update, from 0.

        Returns:
            Arrays by name.
        """
        whole = self.batch_size * self.world_size
        epoch, position = divmod(step, self.n // whole)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(seed_of(Purpose.ORDER, self.seed, epoch))
            self._order, self._epoch = torch.randperm(self.n, generator=generator), epoch
        first = position * whole
        return self.rows(self._order[first + self.rank : first + whole : self.world_size])

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        """Rows by number."""
        index = index.to(self.device, non_blocking=True)
        return {name: array[index] for name, array in self.arrays.items()}
