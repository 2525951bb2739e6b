"""From shards to batches on the device.

The whole split is read once and kept as bytes on the device where it fits, so that a step copies
nothing and waits for nothing: its batch is gathered from indices. A split that does not fit stays
in the files, and a thread reads and decodes what is needed next, each chunk once.

The order of an epoch is a permutation that follows from (seed, epoch) alone, wherever the split
is, so a resumed run continues with the same batches without storing any state. Neighbours are
shuffled as groups, some tens of groups make a pool, which is what is read at once, and the
trajectories of a pool are shuffled among each other.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import physim
from hgn_train.memory import free_memory, shared, tensor_ready
from hgn_train.seeds import Purpose, seed_of
from physim.errors import PhysimError, unknown

NEIGHBOURS = 10
"""Trajectories that stay together where a split is streamed: those of a chunk."""

GROUPS = 64
"""Groups of neighbours, at least, whose trajectories are shuffled among each other."""

SHARE_OF_MEMORY = 0.5
"""Of the free memory of a device, what a split may take."""


@dataclass(frozen=True)
class Source:
    """An opened data set and what a model must know of it.

    Attributes:
        dataset: What `physim.open` returned.
        folder: Where it is.
        system: Name of the system.
        frames: Frames of a trajectory.
        dt: Time between frames.
        resolution: Side in pixels.
        channels: Channels of a frame.
    """

    dataset: Any
    folder: Path
    system: str
    frames: int
    dt: float
    resolution: int
    channels: int

    @property
    def fingerprint(self) -> str:
        """Of all files and so of the recipe, which each of them holds."""
        sums = [f"{shard.name} {shard.sha256}" for shard in self.dataset.manifest.shards]
        return hashlib.blake2b("\n".join(sums).encode(), digest_size=16).hexdigest()


def open_source(folder: str | Path) -> Source:
    """Open a data set.

    Arguments:
        folder: Where it was rendered to.

    Returns:
        The data set with its shape.

    Raises:
        PhysimError: There is none, it is damaged, or has no trajectory to judge on.
    """
    dataset = physim.open(folder)
    if not len(dataset.splits.get("test", ())):
        raise PhysimError(f"{folder}: the test split holds no trajectory, expected n_test from 1")
    _, frames, height, width, channels = dataset.train.image.shape
    if height != width:
        raise PhysimError(f"{folder}: got frames of {height}×{width} pixels, expected square ones")
    recipe = dataset.recipe
    return Source(dataset, Path(folder), recipe.system, frames, recipe.dt, height, channels)


def is_there(folder: str | Path) -> bool:
    """Whether a folder holds a data set."""
    return (Path(folder) / "manifest.json").is_file()


def training_rows(folder: str) -> int:
    """How many training trajectories a data set has; 0 where there is none, as for points."""
    if not is_there(folder):
        return 0
    return len(physim.open(folder).splits.get("train", ()))


def check_fits(network: Any, source: Source) -> None:
    """Refuse a data set that a model cannot see.

    Arguments:
        network: Settings of the model.
        source: The data set.

    Raises:
        PhysimError: Names what differs.
    """
    for name in ("resolution", "channels"):
        has, wants = getattr(source, name), getattr(network, name)
        if has != wants:
            raise PhysimError(
                f"{source.folder}: has {name} {has}, but the model is made for {wants}; a new one "
                f"takes --set {name}={has}"
            )
    if source.frames < network.frames:
        raise PhysimError(
            f"{source.folder}: has {source.frames} frames per trajectory, but the model is "
            f"trained on rollouts of {network.frames}; a new one takes "
            f"--set frames={source.frames}"
        )


class Batches:
    """Batches of one split, in an order that follows from the seed.

    Arguments:
        split: A split of an opened data set.
        names: Arrays that a batch holds.
        device: Where batches are wanted.
        batch_size: Trajectories per batch, on this process.
        seed: Seed of the order.
        trajectories: Number of trajectories used; 0 for all.
        frames: Length of the windows; 0 for whole trajectories.
        rank: Number of this process.
        world_size: How many processes share a batch.
        first: Index of the first trajectory.
    """

    def __init__(
        self,
        split: Any,
        names: Sequence[str],
        device: torch.device,
        batch_size: int,
        seed: int,
        trajectories: int = 0,
        frames: int = 0,
        rank: int = 0,
        world_size: int = 1,
        first: int = 0,
    ) -> None:
        available = len(split.image) - first
        self.n = trajectories or available
        if self.n > available:
            raise PhysimError(
                f"trajectories: got {trajectories}, expected at most the {available} of the "
                "split, or 0 for all"
            )
        if self.n < batch_size * world_size:
            raise PhysimError(
                f"batch_size: got {batch_size * world_size}, expected at most {self.n}, "
                "the trajectories of the split"
            )
        self.device, self.seed, self.batch_size = device, seed, batch_size
        self.rank, self.world_size = rank, world_size
        self.length = split.image.shape[1]
        self.frames = frames or self.length
        self.split, self.names, self.first = split, tuple(names), first
        batch = batch_size * world_size
        self._pool_size = batch * max(1, GROUPS * NEIGHBOURS // batch)
        self._pools: dict[tuple[int, int], Future[tuple[Tensor, dict[str, Tensor]]]] = {}
        self._reader = ThreadPoolExecutor(1, "hgn-train-read")
        self._orders: dict[int, tuple[Tensor, Tensor]] = {}
        self._drawing = threading.Lock()
        arrays = {name: getattr(split, name) for name in names}
        self._series = {name for name in names if is_series(arrays[name])}
        size = sum(self.n * (array.nbytes // len(array)) for array in arrays.values())
        self.resident: dict[str, Tensor] | None = None
        if size <= SHARE_OF_MEMORY * free_memory(device):
            which = (first, first + self.n)
            self.resident = {name: shared(split, name, which, device) for name in names}

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the split; the rest waits for another epoch's order."""
        return self.n // (self.batch_size * self.world_size)

    def batch(self, step: int) -> dict[str, Tensor]:
        """The batch of an update.

        Arguments:
            step: Number of the update, from 0.

        Returns:
            Arrays by name, first axis the trajectory.
        """
        epoch, position = divmod(step, self.steps_per_epoch)
        order, starts = self._order(epoch)
        first = position * self.world_size * self.batch_size
        mine = slice(
            first + self.rank, first + self.world_size * self.batch_size, self.world_size
        )  # every world_size-th row, so that halves of a batch are halves of each process's part
        index, starts = order[mine], starts[mine]
        if self.resident is not None:
            return self.rows(index, starts)
        number = first // self._pool_size
        known, arrays = self._pool(epoch, number).result()
        last = (self.steps_per_epoch * self.batch_size * self.world_size - 1) // self._pool_size
        self._pool(*((epoch, number + 1) if number < last else (epoch + 1, 0)))
        place = torch.searchsorted(known, index)
        found = {name: array[place] for name, array in arrays.items()}
        if self.device.type == "cuda":  # a copy from pinned memory does not wait
            found = {
                name: array.pin_memory().to(self.device, non_blocking=True)
                for name, array in found.items()
            }
        return self._windows(found, starts)

    def rows(self, index: Tensor, starts: Tensor | None = None) -> dict[str, Tensor]:
        """Windows of trajectories by number, from `starts` on, or from the first frame."""
        starts = torch.zeros_like(index) if starts is None else starts
        if self.resident is not None:
            index = index.to(self.device, non_blocking=True)
            arrays = {name: array[index] for name, array in self.resident.items()}
        else:
            rows, place = np.unique(index.numpy() + self.first, return_inverse=True)
            arrays = {
                name: torch.from_numpy(tensor_ready(getattr(self.split, name)[rows])[place]).to(
                    self.device
                )
                for name in self.names
            }
        return self._windows(arrays, starts)

    def _windows(self, arrays: dict[str, Tensor], starts: Tensor) -> dict[str, Tensor]:
        if self.frames < self.length:
            window = starts[:, None] + torch.arange(self.frames)
            window = window.to(self.device, non_blocking=True)
            row = torch.arange(len(window), device=self.device)[:, None]
            arrays = {
                name: array[row, window] if name in self._series else array
                for name, array in arrays.items()
            }
        return arrays

    def _order(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The order of an epoch and the first frame of each window, (n,) each."""
        with self._drawing:  # the reader is an epoch ahead now and then
            if epoch not in self._orders:
                while len(self._orders) > 1:
                    self._orders.pop(next(iter(self._orders)))
                self._orders[epoch] = self._drawn(epoch)
            return self._orders[epoch]

    def _drawn(self, epoch: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed_of(Purpose.ORDER, self.seed, epoch))
        groups = torch.randperm(-(-self.n // NEIGHBOURS), generator=generator)
        rows = (groups[:, None] * NEIGHBOURS + torch.arange(NEIGHBOURS)).flatten()
        rows = rows[rows < self.n]
        pools = torch.arange(self.n) // self._pool_size
        within = torch.rand(self.n, generator=generator, dtype=torch.float64)
        order = rows[(pools + within).argsort()]
        return order, torch.randint(self.length - self.frames + 1, (self.n,), generator=generator)

    def _pool(self, epoch: int, number: int) -> Future[tuple[Tensor, dict[str, Tensor]]]:
        """The numbers of a pool's trajectories, rising, and their arrays; read by a thread."""
        key = (epoch, number)
        if key not in self._pools:
            while len(self._pools) > 1:  # the one before is done with
                self._pools.pop(next(iter(self._pools)))
            self._pools[key] = self._reader.submit(self._read, epoch, number)
        return self._pools[key]

    def _read(self, epoch: int, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        order, _ = self._order(epoch)
        rows = order[number * self._pool_size : (number + 1) * self._pool_size].sort().values
        arrays = {
            name: torch.from_numpy(
                tensor_ready(getattr(self.split, name)[rows.numpy() + self.first])
            )
            for name in self.names
        }
        return rows, arrays


class TrajectoryWindows(torch.utils.data.Dataset[dict[str, Tensor]]):
    """A map-style PyTorch data set of windows of trajectories, for anyone's own `DataLoader`.

    Arguments:
        split: A split of an opened data set, such as `physim.open(folder).train`.
        frames: Length of a window; 0 for whole trajectories.
        stride: Frames between the starts of windows of one trajectory.
        names: Arrays that an example holds; numbers in float64 come in float32.
    """

    def __init__(
        self, split: Any, frames: int = 0, stride: int = 1, names: Sequence[str] = ("image",)
    ) -> None:
        names = (names,) if isinstance(names, str) else tuple(names)
        length = split.image.shape[1]
        self.frames = frames or length
        if not 1 <= self.frames <= length:
            raise PhysimError(
                f"frames: got {frames}, expected from 1 to {length}, those of the data set"
            )
        if stride < 1:
            raise PhysimError(f"stride: got {stride}, expected a number from 1")
        for name in names:
            if name not in split.names:
                raise PhysimError(unknown("names", name, split.names))
        self.starts = range(0, length - self.frames + 1, stride)
        self.split, self.names = split, names

    def __len__(self) -> int:
        return len(self.split.image) * len(self.starts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Tensor]]:
        """A batch, which a `DataLoader` asks for at once: each chunk is decoded once.

        Arguments:
            indices: Numbers of windows; below 0 from the end.

        Returns:
            An example each.

        Raises:
            IndexError: There is no such window.
        """
        outside = [index for index in indices if not -len(self) <= index < len(self)]
        if outside:
            raise IndexError(f"window {outside[0]} of {len(self)}")
        places = [divmod(index % len(self), len(self.starts)) for index in indices]
        read = self.split.read(np.array([row for row, _ in places], dtype=np.int64), self.names)
        examples: list[dict[str, Tensor]] = [{} for _ in places]
        for name, arrays in read.items():
            series = is_series(self.split.array(name))
            for example, array, (_, window) in zip(examples, arrays, places, strict=True):
                start = self.starts[window]
                part = array[start : start + self.frames] if series else np.asarray(array)
                example[name] = torch.from_numpy(tensor_ready(part).reshape(part.shape).copy())
        return examples


def is_series(array: Any) -> bool:
    """Whether an array of a split has an entry a frame."""
    return "time" in array.dimensions[1:2]


def slices(n: int, size: int) -> Iterator[slice]:
    """From 0 to n in slices of at most `size`."""
    for start in range(0, n, size):
        yield slice(start, min(n, start + size))
